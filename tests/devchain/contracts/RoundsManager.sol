// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import "./Protocol.sol";

/// Rounds counted in blocks. On this chain block.number plays the L1 block number.
contract RoundsManager is Managed {
    uint256 private constant PERC = 1_000_000;

    mapping(uint256 => bytes32) private hashes;
    uint256 public roundLength;
    uint256 public roundLockAmount;
    uint256 public lastInitializedRound;
    uint256 public lastRoundLengthUpdateRound = 1; // so that lastInitializedRound 0 means: none yet
    uint256 public lastRoundLengthUpdateStartBlock = block.number;

    event NewRound(uint256 indexed round, bytes32 blockHash);
    event ParameterUpdate(string param);

    constructor(IController controller_, uint256 roundLength_, uint256 roundLockAmount_) Managed(controller_) {
        require(roundLength_ > 0, "round length cannot be 0");
        roundLength = roundLength_;
        roundLockAmount = roundLockAmount_;
    }

    function setRoundLength(uint256 length) external onlyControllerOwner {
        require(length > 0, "round length cannot be 0");
        uint256 round = currentRound();
        lastRoundLengthUpdateStartBlock = currentRoundStartBlock();
        lastRoundLengthUpdateRound = round;
        roundLength = length;
        emit ParameterUpdate("roundLength");
    }

    function setRoundLockAmount(uint256 amount) external onlyControllerOwner {
        require(amount <= PERC, "round lock amount must be a valid percentage");
        roundLockAmount = amount;
        emit ParameterUpdate("roundLockAmount");
    }

    function initializeRound() external whenSystemNotPaused {
        uint256 round = currentRound();
        require(lastInitializedRound < round, "round already initialized");
        lastInitializedRound = round;
        bytes32 roundHash = blockhash(block.number - 1);
        hashes[round] = roundHash;
        bondingManager().setCurrentRoundTotalActiveStake();
        minter().setCurrentRewardTokens();
        emit NewRound(round, roundHash);
    }

    function blockNum() public view returns (uint256) {
        return block.number;
    }

    function blockHash(uint256 number) external view returns (bytes32) {
        require(number < block.number, "can only retrieve past block hashes");
        require(block.number <= 256 || number >= block.number - 256, "can only retrieve hashes of the last 256 blocks");
        return blockhash(number);
    }

    function blockHashForRound(uint256 round) external view returns (bytes32) {
        return hashes[round];
    }

    function currentRound() public view returns (uint256) {
        return lastRoundLengthUpdateRound + (block.number - lastRoundLengthUpdateStartBlock) / roundLength;
    }

    function currentRoundStartBlock() public view returns (uint256) {
        return lastRoundLengthUpdateStartBlock
            + (block.number - lastRoundLengthUpdateStartBlock) / roundLength * roundLength;
    }

    function currentRoundInitialized() external view returns (bool) {
        return lastInitializedRound == currentRound();
    }

    function currentRoundLocked() external view returns (bool) {
        uint256 lockedBlocks = roundLength * roundLockAmount / PERC;
        return block.number - currentRoundStartBlock() >= roundLength - lockedBlocks;
    }
}
