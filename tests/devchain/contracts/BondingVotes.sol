// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import "./Protocol.sol";
import "./Shares.sol";

/// What stake an account had at the beginning of each round, which is what it votes with.
///
/// An orchestrator votes with all stake delegated to it, a delegator with its own and the rewards on it. The clock
/// counts rounds; a stake that changes in round r counts from r + 1 on.
contract BondingVotes is Managed {
    struct Checkpoint {
        uint256 bondedAmount;
        address delegateAddress;
        uint256 delegatedAmount;
        uint256 lastClaimRound;
        uint256 lastRewardRound;
    }

    struct History {
        uint256[] rounds; // ascending
        mapping(uint256 => Checkpoint) at;
    }

    mapping(address => History) private histories;
    uint256[] private initializedRounds; // ascending
    mapping(uint256 => uint256) private totals;

    event DelegateChanged(address indexed delegator, address indexed fromDelegate, address indexed toDelegate);
    event DelegateVotesChanged(address indexed delegate, uint256 previousBalance, uint256 newBalance);
    event DelegatorBondedAmountChanged(
        address indexed delegate,
        uint256 previousBondedAmount,
        uint256 previousLastClaimRound,
        uint256 newBondedAmount,
        uint256 newLastClaimRound
    );

    error InvalidCaller(address caller, address required);
    error InvalidStartRound(uint256 checkpointRound, uint256 requiredRound);
    error FutureLastClaimRound(uint256 lastClaimRound, uint256 maxAllowed);
    error InvalidTotalStakeCheckpointRound(uint256 checkpointRound, uint256 requiredRound);
    error FutureLookup(uint256 queryRound, uint256 maxAllowed);
    error MissingEarningsPool(address transcoder, uint256 rewardRound);
    error MustCallBondingManager(string bondingManagerFunction);

    string public constant name = "Livepeer Voting Power";
    string public constant symbol = "vLPT";
    uint8 public constant decimals = 18;
    string public constant CLOCK_MODE = "mode=livepeer_round";

    modifier onlyBondingManager() {
        address allowed = address(bondingManager());
        if (msg.sender != allowed) revert InvalidCaller(msg.sender, allowed);
        _;
    }

    constructor(IController controller_) Managed(controller_) {}

    function clock() public view returns (uint48) {
        return uint48(roundsManager().currentRound());
    }

    // Votes

    function getVotes(address account) external view returns (uint256 votes) {
        (votes,) = getVotesAndDelegateAtRoundStart(account, clock() + 1);
    }

    function getPastVotes(address account, uint256 round) external view returns (uint256 votes) {
        requirePast(round);
        (votes,) = getVotesAndDelegateAtRoundStart(account, round + 1);
    }

    function totalSupply() external view returns (uint256) {
        return getTotalActiveStakeAt(clock() + 1);
    }

    function getPastTotalSupply(uint256 round) external view returns (uint256) {
        requirePast(round);
        return getTotalActiveStakeAt(round + 1);
    }

    function delegates(address account) external view returns (address) {
        return at(account, clock() + 1).delegateAddress;
    }

    function delegatedAt(address account, uint256 round) external view returns (address) {
        requirePast(round);
        return at(account, round + 1).delegateAddress;
    }

    function delegate(address) external pure {
        revert MustCallBondingManager("bond");
    }

    function delegateBySig(address, uint256, uint256, uint8, bytes32, bytes32) external pure {
        revert MustCallBondingManager("bondFor");
    }

    function hasCheckpoint(address account) external view returns (bool) {
        return histories[account].rounds.length > 0;
    }

    function getVotesAndDelegateAtRoundStart(address account, uint256 round)
        public
        view
        returns (uint256 votes, address delegateAddress)
    {
        Checkpoint memory own = at(account, round);
        delegateAddress = own.delegateAddress;
        if (own.bondedAmount == 0) return (0, delegateAddress);
        if (delegateAddress == account) return (own.delegatedAmount, delegateAddress);
        Checkpoint memory theirs = at(delegateAddress, round);
        if (theirs.delegateAddress != delegateAddress || theirs.bondedAmount == 0) return (0, delegateAddress);
        return (withRewards(own, theirs), delegateAddress);
    }

    function getTotalActiveStakeAt(uint256 round) public view returns (uint256) {
        if (round > clock() + 1) revert FutureLookup(round, clock() + 1);
        uint256 count = initializedRounds.length;
        uint256 index = upTo(initializedRounds, round);
        if (index > 0 && initializedRounds[index - 1] == round) return totals[round];
        if (index == 0) return 0;
        return index < count ? totals[initializedRounds[index]] : bondingManager().nextRoundTotalActiveStake();
    }

    function withRewards(Checkpoint memory own, Checkpoint memory theirs) private view returns (uint256) {
        if (theirs.lastRewardRound < own.lastClaimRound) return own.bondedAmount;
        uint256 start = factor(own.delegateAddress, own.lastClaimRound);
        uint256 end = factor(own.delegateAddress, theirs.lastRewardRound);
        if (end == 0 && theirs.lastRewardRound > 0) {
            revert MissingEarningsPool(own.delegateAddress, theirs.lastRewardRound);
        }
        return Shares.precise(
            own.bondedAmount, end == 0 ? Shares.PRECISE : end, start == 0 ? Shares.PRECISE : start
        );
    }

    function factor(address transcoder, uint256 round) private view returns (uint256 rewardFactor) {
        (,,, rewardFactor,) = bondingManager().getTranscoderEarningsPoolForRound(transcoder, round);
    }

    function requirePast(uint256 round) private view {
        uint256 now_ = clock();
        if (round >= now_) revert FutureLookup(round, now_ == 0 ? 0 : now_ - 1);
    }

    // Checkpoints

    function checkpointBondingState(
        address account,
        uint256 startRound,
        uint256 bondedAmount,
        address delegateAddress,
        uint256 delegatedAmount,
        uint256 lastClaimRound,
        uint256 lastRewardRound
    ) external onlyBondingManager {
        if (startRound != clock() + 1) revert InvalidStartRound(startRound, clock() + 1);
        if (lastClaimRound >= startRound) revert FutureLastClaimRound(lastClaimRound, startRound - 1);
        History storage history = histories[account];
        Checkpoint memory before = at(account, startRound);
        Checkpoint memory kept =
            Checkpoint(bondedAmount, delegateAddress, delegatedAmount, lastClaimRound, lastRewardRound);
        history.at[startRound] = kept;
        append(history.rounds, startRound);
        tell(account, before, kept);
    }

    function checkpointTotalActiveStake(uint256 totalStake, uint256 round) external onlyBondingManager {
        if (round != clock()) revert InvalidTotalStakeCheckpointRound(round, clock());
        totals[round] = totalStake;
        append(initializedRounds, round);
    }

    function tell(address account, Checkpoint memory before, Checkpoint memory kept) private {
        if (before.delegateAddress != kept.delegateAddress) {
            emit DelegateChanged(account, before.delegateAddress, kept.delegateAddress);
        }
        uint256 votesBefore = delegateVotes(account, before);
        uint256 votes = delegateVotes(account, kept);
        if (votesBefore != votes) emit DelegateVotesChanged(account, votesBefore, votes);
        if (before.bondedAmount != kept.bondedAmount || before.lastClaimRound != kept.lastClaimRound) {
            emit DelegatorBondedAmountChanged(
                account, before.bondedAmount, before.lastClaimRound, kept.bondedAmount, kept.lastClaimRound
            );
        }
    }

    function delegateVotes(address account, Checkpoint memory kept) private pure returns (uint256) {
        return kept.delegateAddress == account && kept.bondedAmount > 0 ? kept.delegatedAmount : 0;
    }

    function at(address account, uint256 round) private view returns (Checkpoint memory found) {
        if (round > clock() + 1) revert FutureLookup(round, clock() + 1);
        History storage history = histories[account];
        uint256 index = upTo(history.rounds, round);
        if (index > 0) found = history.at[history.rounds[index - 1]];
    }

    function append(uint256[] storage rounds, uint256 round) private {
        if (rounds.length == 0 || rounds[rounds.length - 1] < round) rounds.push(round);
    }

    /// How many of the ascending rounds are `round` or earlier.
    function upTo(uint256[] storage rounds, uint256 round) private view returns (uint256 low) {
        uint256 high = rounds.length;
        if (high > 0 && rounds[high - 1] <= round) return high;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (rounds[middle] <= round) low = middle + 1;
            else high = middle;
        }
    }
}
