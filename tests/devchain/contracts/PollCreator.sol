// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import "./Poll.sol";
import "./Protocol.sol";

/// Opens polls for whoever has stake enough; none of it is spent.
contract PollCreator {
    uint256 public constant QUORUM = 333_300;
    uint256 public constant QUOTA = 500_000;
    uint256 public constant POLL_CREATION_COST = 100 ether;

    uint256 public immutable POLL_PERIOD; // blocks
    IBondingManager public immutable bondingManager;

    event PollCreated(address indexed poll, bytes proposal, uint256 endBlock, uint256 quorum, uint256 quota);

    constructor(IBondingManager bondingManager_, uint256 pollPeriod) {
        bondingManager = bondingManager_;
        POLL_PERIOD = pollPeriod;
    }

    function createPoll(bytes calldata proposal) external {
        require(
            bondingManager.pendingStake(msg.sender, 0) >= POLL_CREATION_COST
                || bondingManager.transcoderTotalStake(msg.sender) >= POLL_CREATION_COST,
            "PollCreator#createPoll: INSUFFICIENT_STAKE"
        );
        uint256 endBlock = block.number + POLL_PERIOD;
        emit PollCreated(address(new Poll(endBlock)), proposal, endBlock, QUORUM, QUOTA);
    }
}
