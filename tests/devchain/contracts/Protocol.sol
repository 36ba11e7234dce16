// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

// What the contracts of the local chain know of one another.

interface IController {
    function getContract(bytes32 id) external view returns (address);
    function paused() external view returns (bool);
    function owner() external view returns (address);
}

interface IMinter {
    function createReward(uint256 numerator, uint256 denominator) external returns (uint256);
    function depositETH() external payable returns (bool);
    function trustedWithdrawETH(address to, uint256 amount) external;
    function trustedTransferTokens(address to, uint256 amount) external;
    function trustedBurnTokens(uint256 amount) external;
    function setCurrentRewardTokens() external;
    function currentMintableTokens() external view returns (uint256);
    function currentMintedTokens() external view returns (uint256);
}

interface IRoundsManager {
    function currentRound() external view returns (uint256);
    function currentRoundInitialized() external view returns (bool);
    function currentRoundLocked() external view returns (bool);
    function blockHashForRound(uint256 round) external view returns (bytes32);
}

interface IBondingManager {
    function setCurrentRoundTotalActiveStake() external;
    function updateTranscoderWithFees(address transcoder, uint256 fees, uint256 round) external;
    function isActiveTranscoder(address transcoder) external view returns (bool);
    function getTranscoderPoolSize() external view returns (uint256);
    function getTotalBonded() external view returns (uint256);
    function nextRoundTotalActiveStake() external view returns (uint256);
    function transcoderTotalStake(address transcoder) external view returns (uint256);
    function pendingStake(address delegator, uint256 endRound) external view returns (uint256);
    function getTranscoderEarningsPoolForRound(address transcoder, uint256 round)
        external
        view
        returns (uint256, uint256, uint256, uint256 cumulativeRewardFactor, uint256);
}

interface IBondingVotes {
    function checkpointBondingState(
        address account,
        uint256 startRound,
        uint256 bondedAmount,
        address delegateAddress,
        uint256 delegatedAmount,
        uint256 lastClaimRound,
        uint256 lastRewardRound
    ) external;
    function checkpointTotalActiveStake(uint256 totalStake, uint256 round) external;
    function delegatedAt(address account, uint256 round) external view returns (address);
}

interface IToken {
    function mint(address to, uint256 amount) external;
    function transfer(address to, uint256 amount) external returns (bool);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
    function burn(uint256 amount) external;
    function totalSupply() external view returns (uint256);
    function balanceOf(address account) external view returns (uint256);
}

/// Looks its neighbours up through the Controller, as every contract of the protocol does.
abstract contract Managed {
    IController public immutable controller;

    constructor(IController controller_) {
        controller = controller_;
    }

    modifier whenSystemNotPaused() {
        require(!controller.paused(), "system is paused");
        _;
    }

    modifier whenRoundInitialized() {
        require(roundsManager().currentRoundInitialized(), "current round is not initialized");
        _;
    }

    modifier onlyControllerOwner() {
        require(msg.sender == controller.owner(), "caller must be Controller owner");
        _;
    }

    modifier onlyContract(string memory name) {
        require(msg.sender == named(name), string.concat("caller must be ", name));
        _;
    }

    function named(string memory name) internal view returns (address) {
        return controller.getContract(keccak256(bytes(name)));
    }

    function roundsManager() internal view returns (IRoundsManager) {
        return IRoundsManager(named("RoundsManager"));
    }

    function bondingManager() internal view returns (IBondingManager) {
        return IBondingManager(named("BondingManager"));
    }

    function bondingVotes() internal view returns (IBondingVotes) {
        return IBondingVotes(named("BondingVotes"));
    }

    function minter() internal view returns (IMinter) {
        return IMinter(named("Minter"));
    }

    function livepeerToken() internal view returns (IToken) {
        return IToken(named("LivepeerToken"));
    }
}
