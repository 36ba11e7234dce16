// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// A question to all stakers about the protocol; who said what is counted off chain from its events.
contract Poll {
    uint256 public immutable endBlock; // L1

    event Vote(address indexed voter, uint256 choiceID);

    constructor(uint256 endBlock_) {
        endBlock = endBlock_;
    }

    function vote(uint256 choiceID) external {
        require(block.number <= endBlock, "poll is over");
        emit Vote(msg.sender, choiceID);
    }
}
