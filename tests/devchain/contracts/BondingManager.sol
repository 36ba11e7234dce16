// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import "./Protocol.sol";

/// Stake, the pool of orchestrators sorted by it, rewards and fees.
///
/// Earnings are kept as factors that only grow: a stake bonded when the reward factor was f is worth
/// stake * F / f when it is F; fees likewise. An orchestrator's own cuts are kept apart and added when it claims.
/// Left out of this chain: unbonding, transfers of bonds, governance checkpoints.
contract BondingManager is Managed {
    struct Delegator {
        uint256 bondedAmount;
        uint256 fees;
        address delegateAddress;
        uint256 delegatedAmount;
        uint256 startRound;
        uint256 lastClaimRound;
        uint256 nextUnbondingLockId;
    }

    struct Transcoder {
        uint256 lastRewardRound;
        uint256 rewardCut;
        uint256 feeShare;
        uint256 lastActiveStakeUpdateRound;
        uint256 activationRound;
        uint256 deactivationRound;
        uint256 activeCumulativeRewards; // of the cut, as of the round's beginning: what earns fees this round
        uint256 cumulativeRewards;
        uint256 cumulativeFees;
        uint256 lastFeeRound;
    }

    struct EarningsPool {
        uint256 totalStake;
        uint256 transcoderRewardCut;
        uint256 transcoderFeeShare;
        uint256 cumulativeRewardFactor; // 0: same as in the last round that has one
        uint256 cumulativeFeeFactor;
    }

    struct Link {
        address previous;
        address next;
        uint256 stake;
        bool linked;
    }

    uint256 private constant PERC = 1_000_000;
    uint256 private constant PRECISE = 10 ** 27;

    uint64 public unbondingPeriod = 7;
    uint256 public treasuryRewardCutRate;
    uint256 public nextRoundTreasuryRewardCutRate;
    uint256 public currentRoundTotalActiveStake;
    uint256 public nextRoundTotalActiveStake;
    mapping(address => address) public transcoderToRewardCaller;

    mapping(address => Delegator) private delegators;
    mapping(address => Transcoder) private transcoders;
    mapping(address => mapping(uint256 => EarningsPool)) private earningsPools;

    mapping(address => Link) private pool; // pool[address(0)]: next is the head, previous the tail
    uint256 private poolSize;
    uint256 private immutable poolMaxSize;

    event TranscoderUpdate(address indexed transcoder, uint256 rewardCut, uint256 feeShare);
    event TranscoderActivated(address indexed transcoder, uint256 activationRound);
    event TranscoderDeactivated(address indexed transcoder, uint256 deactivationRound);
    event Reward(address indexed transcoder, uint256 amount);
    event TreasuryReward(address indexed transcoder, address treasury, uint256 amount);
    event RewardCallerSet(address indexed transcoder, address indexed rewardCaller);
    event Bond(
        address indexed newDelegate,
        address indexed oldDelegate,
        address indexed delegator,
        uint256 additionalAmount,
        uint256 bondedAmount
    );
    event WithdrawFees(address indexed delegator, address recipient, uint256 amount);
    event EarningsClaimed(
        address indexed delegate,
        address indexed delegator,
        uint256 rewards,
        uint256 fees,
        uint256 startRound,
        uint256 endRound
    );

    constructor(IController controller_, uint256 poolMaxSize_) Managed(controller_) {
        poolMaxSize = poolMaxSize_;
    }

    function setTreasuryRewardCutRate(uint256 rate) external onlyControllerOwner {
        require(rate <= PRECISE, "_cutRate is invalid precise percentage");
        nextRoundTreasuryRewardCutRate = rate;
    }

    function setCurrentRoundTotalActiveStake() external onlyContract("RoundsManager") {
        currentRoundTotalActiveStake = nextRoundTotalActiveStake;
        treasuryRewardCutRate = nextRoundTreasuryRewardCutRate;
    }

    // Bonding

    function bond(uint256 amount, address to) external {
        bondWithHint(amount, to, address(0), address(0), address(0), address(0));
    }

    function bondWithHint(
        uint256 amount,
        address to,
        address oldDelegatePrev,
        address oldDelegateNext,
        address newDelegatePrev,
        address newDelegateNext
    ) public whenSystemNotPaused whenRoundInitialized {
        claim(msg.sender);
        Delegator storage delegator = delegators[msg.sender];
        address before = delegator.delegateAddress;
        uint256 moved = amount;
        if (delegator.bondedAmount == 0) {
            delegator.startRound = currentRound() + 1;
        } else if (before != to) {
            require(before != msg.sender, "registered transcoders can't delegate towards other addresses");
            delegator.startRound = currentRound() + 1;
            moved += delegator.bondedAmount;
            lowerStake(before, delegator.bondedAmount, oldDelegatePrev, oldDelegateNext);
        }
        requireRewardBeforeReturn(to);
        require(moved > 0, "delegation amount must be greater than 0");
        delegator.delegateAddress = to;
        delegator.bondedAmount += amount;
        keepFactors(to);
        raiseStake(to, moved, newDelegatePrev, newDelegateNext);
        if (amount > 0) token().transferFrom(msg.sender, address(minter()), amount);
        emit Bond(to, before, msg.sender, amount, delegator.bondedAmount);
    }

    function claimEarnings(uint256) external whenSystemNotPaused whenRoundInitialized {
        claim(msg.sender);
    }

    function withdrawFees(address payable recipient, uint256 amount)
        external
        whenSystemNotPaused
        whenRoundInitialized
    {
        require(recipient != address(0), "invalid recipient");
        claim(msg.sender);
        require(delegators[msg.sender].fees >= amount, "insufficient fees to withdraw");
        delegators[msg.sender].fees -= amount;
        minter().trustedWithdrawETH(recipient, amount);
        emit WithdrawFees(msg.sender, recipient, amount);
    }

    // Orchestrators

    function transcoder(uint256 rewardCut, uint256 feeShare) external {
        transcoderWithHint(rewardCut, feeShare, address(0), address(0));
    }

    function transcoderWithHint(uint256 rewardCut, uint256 feeShare, address prev, address next)
        public
        whenSystemNotPaused
        whenRoundInitialized
    {
        require(!roundsManager().currentRoundLocked(), "can't update transcoder params, current round is locked");
        require(rewardCut <= PERC, "invalid rewardCut percentage");
        require(feeShare <= PERC, "invalid feeShare percentage");
        require(isRegisteredTranscoder(msg.sender), "transcoder must be registered");
        Transcoder storage entry = transcoders[msg.sender];
        require(
            !isActiveTranscoder(msg.sender) || entry.lastRewardRound == currentRound(),
            "caller can't be active or must have already called reward for the current round"
        );
        entry.rewardCut = rewardCut;
        entry.feeShare = feeShare;
        if (!pool[msg.sender].linked) tryJoin(msg.sender, delegators[msg.sender].delegatedAmount, prev, next);
        emit TranscoderUpdate(msg.sender, rewardCut, feeShare);
    }

    function reward() external {
        rewardWithHint(address(0), address(0));
    }

    function rewardWithHint(address prev, address next) public whenSystemNotPaused whenRoundInitialized {
        rewardOf(msg.sender, prev, next);
    }

    function setRewardCaller(address rewardCaller) external whenSystemNotPaused {
        transcoderToRewardCaller[msg.sender] = rewardCaller;
        emit RewardCallerSet(msg.sender, rewardCaller);
    }

    function rewardForTranscoder(address addr) external {
        rewardForTranscoderWithHint(addr, address(0), address(0));
    }

    function rewardForTranscoderWithHint(address addr, address prev, address next)
        public
        whenSystemNotPaused
        whenRoundInitialized
    {
        require(
            transcoderToRewardCaller[addr] == msg.sender, "caller must be a reward caller set by the transcoder"
        );
        rewardOf(addr, prev, next);
    }

    function rewardOf(address addr, address prev, address next) private {
        uint256 round = currentRound();
        require(isActiveTranscoder(addr), "caller must be an active transcoder");
        Transcoder storage entry = transcoders[addr];
        require(entry.lastRewardRound != round, "caller has already called reward for the current round");
        EarningsPool storage earnings = openPool(addr, round);

        uint256 minted = minter().createReward(earnings.totalStake, currentRoundTotalActiveStake);
        uint256 forTreasury = minted * treasuryRewardCutRate / PRECISE;
        if (forTreasury > 0) {
            address treasury = named("Treasury");
            minter().trustedTransferTokens(treasury, forTreasury);
            emit TreasuryReward(addr, treasury, forTreasury);
        }
        uint256 amount = minted - forTreasury;
        uint256 cut = amount * earnings.transcoderRewardCut / PERC;
        uint256 factor = rewardFactor(addr, round);
        if (earnings.totalStake > 0) {
            earnings.cumulativeRewardFactor = factor + factor * (amount - cut) / earnings.totalStake;
        }
        entry.activeCumulativeRewards = entry.cumulativeRewards;
        entry.cumulativeRewards += cut;
        entry.lastRewardRound = round;
        raiseStake(addr, amount, prev, next);
        emit Reward(addr, amount);
    }

    function updateTranscoderWithFees(address addr, uint256 fees, uint256 round)
        external
        whenSystemNotPaused
        onlyContract("TicketBroker")
    {
        require(isActiveTranscoder(addr), "transcoder must be active");
        Transcoder storage entry = transcoders[addr];
        EarningsPool storage earnings = openPool(addr, round);
        if (entry.lastRewardRound < round) entry.activeCumulativeRewards = entry.cumulativeRewards;

        uint256 forDelegators = fees * earnings.transcoderFeeShare / PERC;
        uint256 onOwnRewards =
            earnings.totalStake == 0 ? 0 : forDelegators * entry.activeCumulativeRewards / earnings.totalStake;
        uint256 before = feeFactor(addr, round);
        if (earnings.totalStake > 0) {
            earnings.cumulativeFeeFactor = before + rewardFactorBefore(addr, round) * forDelegators / earnings.totalStake;
        }
        entry.cumulativeFees += fees - forDelegators + onOwnRewards;
        entry.lastFeeRound = round;
    }

    // Views

    function getTranscoder(address addr)
        external
        view
        returns (
            uint256 lastRewardRound,
            uint256 rewardCut,
            uint256 feeShare,
            uint256 lastActiveStakeUpdateRound,
            uint256 activationRound,
            uint256 deactivationRound,
            uint256 activeCumulativeRewards,
            uint256 cumulativeRewards,
            uint256 cumulativeFees,
            uint256 lastFeeRound
        )
    {
        Transcoder memory entry = transcoders[addr];
        return (
            entry.lastRewardRound,
            entry.rewardCut,
            entry.feeShare,
            entry.lastActiveStakeUpdateRound,
            entry.activationRound,
            entry.deactivationRound,
            entry.activeCumulativeRewards,
            entry.cumulativeRewards,
            entry.cumulativeFees,
            entry.lastFeeRound
        );
    }

    function getDelegator(address addr)
        external
        view
        returns (
            uint256 bondedAmount,
            uint256 fees,
            address delegateAddress,
            uint256 delegatedAmount,
            uint256 startRound,
            uint256 lastClaimRound,
            uint256 nextUnbondingLockId
        )
    {
        Delegator memory entry = delegators[addr];
        return (
            entry.bondedAmount,
            entry.fees,
            entry.delegateAddress,
            entry.delegatedAmount,
            entry.startRound,
            entry.lastClaimRound,
            entry.nextUnbondingLockId
        );
    }

    function getTranscoderEarningsPoolForRound(address addr, uint256 round)
        external
        view
        returns (
            uint256 totalStake,
            uint256 transcoderRewardCut,
            uint256 transcoderFeeShare,
            uint256 cumulativeRewardFactor,
            uint256 cumulativeFeeFactor
        )
    {
        EarningsPool memory earnings = earningsPools[addr][round];
        return (
            earnings.totalStake,
            earnings.transcoderRewardCut,
            earnings.transcoderFeeShare,
            earnings.cumulativeRewardFactor,
            earnings.cumulativeFeeFactor
        );
    }

    function isActiveTranscoder(address addr) public view returns (bool) {
        uint256 round = currentRound();
        return transcoders[addr].activationRound <= round && round < transcoders[addr].deactivationRound;
    }

    function isRegisteredTranscoder(address addr) public view returns (bool) {
        return delegators[addr].delegateAddress == addr && delegators[addr].bondedAmount > 0;
    }

    function transcoderStatus(address addr) external view returns (uint8) {
        return isRegisteredTranscoder(addr) ? 1 : 0;
    }

    function delegatorStatus(address addr) external view returns (uint8) {
        Delegator memory entry = delegators[addr];
        if (entry.bondedAmount == 0) return 2;
        return entry.startRound > currentRound() ? 0 : 1;
    }

    function transcoderTotalStake(address addr) public view returns (uint256) {
        return delegators[addr].delegatedAmount;
    }

    function pendingStake(address addr, uint256) public view returns (uint256 stake) {
        Delegator memory entry = delegators[addr];
        stake = entry.bondedAmount;
        uint256 round = currentRound();
        if (stake == 0 || entry.lastClaimRound >= round) return stake;
        address to = entry.delegateAddress;
        stake = stake * rewardFactor(to, round) / rewardFactor(to, entry.lastClaimRound);
        if (to == addr) stake += transcoders[addr].cumulativeRewards;
    }

    function pendingFees(address addr, uint256) public view returns (uint256 fees) {
        Delegator memory entry = delegators[addr];
        fees = entry.fees;
        uint256 round = currentRound();
        if (entry.bondedAmount == 0 || entry.lastClaimRound >= round) return fees;
        address to = entry.delegateAddress;
        uint256 grown = feeFactor(to, round) - feeFactor(to, entry.lastClaimRound);
        fees += entry.bondedAmount * grown / rewardFactor(to, entry.lastClaimRound);
        if (to == addr) fees += transcoders[addr].cumulativeFees;
    }

    function getTotalBonded() external view returns (uint256) {
        return currentRoundTotalActiveStake;
    }

    function getFirstTranscoderInPool() external view returns (address) {
        return pool[address(0)].next;
    }

    function getNextTranscoderInPool(address addr) external view returns (address) {
        return addr == address(0) ? address(0) : pool[addr].next;
    }

    function getTranscoderPoolSize() external view returns (uint256) {
        return poolSize;
    }

    function getTranscoderPoolMaxSize() external view returns (uint256) {
        return poolMaxSize;
    }

    function currentRound() private view returns (uint256) {
        return roundsManager().currentRound();
    }

    // Earnings

    function claim(address addr) private {
        Delegator storage entry = delegators[addr];
        uint256 round = currentRound();
        if (entry.lastClaimRound >= round) return;
        if (entry.bondedAmount > 0) {
            uint256 stake = pendingStake(addr, 0);
            uint256 fees = pendingFees(addr, 0);
            address to = entry.delegateAddress;
            emit EarningsClaimed(
                to, addr, stake - entry.bondedAmount, fees - entry.fees, entry.lastClaimRound + 1, round
            );
            if (to == addr) {
                transcoders[addr].cumulativeRewards = 0;
                transcoders[addr].activeCumulativeRewards = 0;
                transcoders[addr].cumulativeFees = 0;
            }
            entry.bondedAmount = stake;
            entry.fees = fees;
            keepFactors(to);
        }
        entry.lastClaimRound = round;
    }

    /// Whoever claims in this round starts from the factors that are stored for it.
    function keepFactors(address addr) private {
        uint256 round = currentRound();
        uint256 factor = rewardFactor(addr, round);
        uint256 fees = feeFactor(addr, round);
        earningsPools[addr][round].cumulativeRewardFactor = factor;
        earningsPools[addr][round].cumulativeFeeFactor = fees;
    }

    function rewardFactor(address addr, uint256 round) private view returns (uint256 factor) {
        factor = earningsPools[addr][round].cumulativeRewardFactor;
        if (factor == 0) factor = rewardFactorBefore(addr, round);
    }

    function rewardFactorBefore(address addr, uint256 round) private view returns (uint256 factor) {
        uint256 last = transcoders[addr].lastRewardRound;
        if (last >= round) return earningsPools[addr][round].cumulativeRewardFactor;
        factor = earningsPools[addr][last].cumulativeRewardFactor;
        if (factor == 0) factor = PRECISE;
    }

    function feeFactor(address addr, uint256 round) private view returns (uint256 factor) {
        factor = earningsPools[addr][round].cumulativeFeeFactor;
        uint256 last = transcoders[addr].lastFeeRound;
        if (factor == 0 && last <= round) factor = earningsPools[addr][last].cumulativeFeeFactor;
    }

    /// The round's earnings pool with stake and cuts frozen by the first reward or fee in it.
    function openPool(address addr, uint256 round) private returns (EarningsPool storage earnings) {
        Transcoder storage entry = transcoders[addr];
        earnings = earningsPools[addr][round];
        if (entry.lastActiveStakeUpdateRound < round) {
            earnings.totalStake = earningsPools[addr][entry.lastActiveStakeUpdateRound].totalStake;
        }
        if (entry.lastRewardRound < round && entry.lastFeeRound < round) {
            earnings.transcoderRewardCut = entry.rewardCut;
            earnings.transcoderFeeShare = entry.feeShare;
        }
    }

    // Stake and the pool

    function requireRewardBeforeReturn(address addr) private view {
        Transcoder storage entry = transcoders[addr];
        bool leaving = isActiveTranscoder(addr) && entry.deactivationRound == currentRound() + 1;
        require(
            !leaving || entry.lastRewardRound == currentRound(),
            "transcoder has not yet called reward for the current round"
        );
    }

    function raiseStake(address addr, uint256 amount, address prev, address next) private {
        uint256 stake = delegators[addr].delegatedAmount + amount;
        if (pool[addr].linked) {
            setPoolStake(addr, stake, prev, next);
            nextRoundTotalActiveStake += amount;
        } else if (addr == msg.sender || isRegisteredTranscoder(addr)) {
            tryJoin(addr, stake, prev, next);
        }
        delegators[addr].delegatedAmount = stake;
    }

    function lowerStake(address addr, uint256 amount, address prev, address next) private {
        uint256 stake = delegators[addr].delegatedAmount - amount;
        if (pool[addr].linked) {
            setPoolStake(addr, stake, prev, next);
            nextRoundTotalActiveStake -= amount;
        }
        delegators[addr].delegatedAmount = stake;
    }

    function setPoolStake(address addr, uint256 stake, address prev, address next) private {
        keepStakeOfThisRound(addr);
        earningsPools[addr][currentRound() + 1].totalStake = stake;
        unlink(addr);
        insert(addr, stake, prev, next);
    }

    function keepStakeOfThisRound(address addr) private {
        Transcoder storage entry = transcoders[addr];
        uint256 round = currentRound();
        uint256 last = entry.lastActiveStakeUpdateRound;
        if (last < round) earningsPools[addr][round].totalStake = earningsPools[addr][last].totalStake;
        entry.lastActiveStakeUpdateRound = round + 1;
    }

    function tryJoin(address addr, uint256 stake, address prev, address next) private {
        uint256 nextRound = currentRound() + 1;
        if (poolSize == poolMaxSize) {
            address tail = pool[address(0)].previous;
            if (pool[tail].stake >= stake) return;
            nextRoundTotalActiveStake -= pool[tail].stake;
            unlink(tail);
            transcoders[tail].deactivationRound = nextRound;
            emit TranscoderDeactivated(tail, nextRound);
        }
        keepStakeOfThisRound(addr);
        earningsPools[addr][nextRound].totalStake = stake;
        insert(addr, stake, prev, next);
        nextRoundTotalActiveStake += stake;
        transcoders[addr].activationRound = nextRound;
        transcoders[addr].deactivationRound = type(uint256).max;
        emit TranscoderActivated(addr, nextRound);
    }

    function insert(address addr, uint256 stake, address prev, address next) private {
        if (!fits(stake, prev, next)) {
            prev = address(0);
            next = pool[address(0)].next;
            while (next != address(0) && pool[next].stake >= stake) {
                prev = next;
                next = pool[next].next;
            }
        }
        pool[addr] = Link(prev, next, stake, true);
        pool[prev].next = addr;
        pool[next].previous = addr;
        poolSize += 1;
    }

    function fits(uint256 stake, address prev, address next) private view returns (bool) {
        if (prev != address(0) && !(pool[prev].linked && pool[prev].stake >= stake)) return false;
        if (next != address(0) && !(pool[next].linked && pool[next].stake <= stake)) return false;
        return pool[prev].next == next && pool[next].previous == prev;
    }

    function unlink(address addr) private {
        Link memory link = pool[addr];
        pool[link.previous].next = link.next;
        pool[link.next].previous = link.previous;
        delete pool[addr];
        poolSize -= 1;
    }
}
