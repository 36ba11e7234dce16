// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import "./Protocol.sol";
import "./Shares.sol";
import "./SortedPool.sol";

/// Stake, the pool of orchestrators sorted by it, rewards and fees.
///
/// Earnings are kept as factors that only grow: a stake bonded when the reward factor was f is worth
/// stake * F / f when it is F; fees likewise. An orchestrator's own cuts are kept apart and added when it claims.
contract BondingManager is Managed {
    using Shares for uint256;
    using SortedPool for SortedPool.List;

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

    struct UnbondingLock {
        uint256 amount;
        uint256 withdrawRound; // 0: no lock
    }

    struct Hint {
        address prev;
        address next;
    }

    bool private immutable live; // false: the rules of early 2024
    uint64 public unbondingPeriod = 7;
    uint256 public treasuryRewardCutRate;
    uint256 public nextRoundTreasuryRewardCutRate;
    uint256 public treasuryBalanceCeiling;
    uint256 public currentRoundTotalActiveStake;
    uint256 public nextRoundTotalActiveStake;

    mapping(address => address) private rewardCallers;
    mapping(address => Delegator) private delegators;
    mapping(address => Transcoder) private transcoders;
    mapping(address => mapping(uint256 => EarningsPool)) private earningsPools;
    mapping(address => mapping(uint256 => UnbondingLock)) private locks;
    SortedPool.List private pool;

    event ParameterUpdate(string param);
    event TranscoderUpdate(address indexed transcoder, uint256 rewardCut, uint256 feeShare);
    event TranscoderActivated(address indexed transcoder, uint256 activationRound);
    event TranscoderDeactivated(address indexed transcoder, uint256 deactivationRound);
    event TranscoderSlashed(address indexed transcoder, address finder, uint256 penalty, uint256 finderReward);
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
    event Unbond(
        address indexed delegate,
        address indexed delegator,
        uint256 unbondingLockId,
        uint256 amount,
        uint256 withdrawRound
    );
    event Rebond(address indexed delegate, address indexed delegator, uint256 unbondingLockId, uint256 amount);
    event TransferBond(
        address indexed oldDelegator,
        address indexed newDelegator,
        uint256 oldUnbondingLockId,
        uint256 newUnbondingLockId,
        uint256 amount
    );
    event WithdrawStake(address indexed delegator, uint256 unbondingLockId, uint256 amount, uint256 withdrawRound);
    event WithdrawFees(address indexed delegator, address recipient, uint256 amount);
    event EarningsClaimed(
        address indexed delegate,
        address indexed delegator,
        uint256 rewards,
        uint256 fees,
        uint256 startRound,
        uint256 endRound
    );

    modifier whenOpen() {
        requireOpen();
        _;
    }

    constructor(IController controller_, uint256 poolMaxSize, bool live_) Managed(controller_) {
        pool.maxSize = poolMaxSize;
        live = live_;
    }

    // Parameters

    function setUnbondingPeriod(uint64 rounds) external onlyControllerOwner {
        unbondingPeriod = rounds;
        emit ParameterUpdate("unbondingPeriod");
    }

    function setTreasuryRewardCutRate(uint256 rate) external onlyControllerOwner {
        changeTreasuryCut(rate);
    }

    function setTreasuryBalanceCeiling(uint256 ceiling) external onlyControllerOwner {
        treasuryBalanceCeiling = ceiling;
        emit ParameterUpdate("treasuryBalanceCeiling");
    }

    function setNumActiveTranscoders(uint256 size) external onlyControllerOwner {
        require(size > pool.maxSize, "new max size must be greater than old max size");
        pool.maxSize = size;
        emit ParameterUpdate("numActiveTranscoders");
    }

    function changeTreasuryCut(uint256 rate) private {
        require(rate <= Shares.PRECISE, "_cutRate is invalid precise percentage");
        nextRoundTreasuryRewardCutRate = rate;
        emit ParameterUpdate("nextRoundTreasuryRewardCutRate");
    }

    function setCurrentRoundTotalActiveStake() external onlyContract("RoundsManager") {
        currentRoundTotalActiveStake = nextRoundTotalActiveStake;
        if (nextRoundTreasuryRewardCutRate != treasuryRewardCutRate) {
            treasuryRewardCutRate = nextRoundTreasuryRewardCutRate;
            emit ParameterUpdate("treasuryRewardCutRate");
        }
        bondingVotes().checkpointTotalActiveStake(currentRoundTotalActiveStake, currentRound());
    }

    // Bonding

    function bond(uint256 amount, address to) external {
        bondFor(amount, msg.sender, to, Hint(address(0), address(0)), Hint(address(0), address(0)));
    }

    function bondWithHint(
        uint256 amount,
        address to,
        address oldDelegatePrev,
        address oldDelegateNext,
        address newDelegatePrev,
        address newDelegateNext
    ) external {
        bondFor(amount, msg.sender, to, Hint(oldDelegatePrev, oldDelegateNext), Hint(newDelegatePrev, newDelegateNext));
    }

    function bondForWithHint(
        uint256 amount,
        address owner,
        address to,
        address oldDelegatePrev,
        address oldDelegateNext,
        address newDelegatePrev,
        address newDelegateNext
    ) external {
        bondFor(amount, owner, to, Hint(oldDelegatePrev, oldDelegateNext), Hint(newDelegatePrev, newDelegateNext));
    }

    function bondFor(uint256 amount, address owner, address to, Hint memory oldHint, Hint memory newHint)
        private
        whenOpen
    {
        requireMayClaimFor(owner);
        claim(owner);
        Delegator storage delegator = delegators[owner];
        address before = delegator.delegateAddress;
        bool unbonded = delegator.bondedAmount == 0;
        if (msg.sender != owner) {
            require(owner != address(0), "INVALID_DELEGATOR");
            require(!unbonded || to != owner, "INVALID_DELEGATE");
            require(unbonded || before == to, "INVALID_DELEGATE_CHANGE");
        }
        uint256 moved = amount;
        if (unbonded) {
            delegator.startRound = currentRound() + 1;
        } else if (before != to) {
            require(!isRegisteredTranscoder(owner), "registered transcoders can't delegate towards other addresses");
            delegator.startRound = currentRound() + 1;
            moved += delegator.bondedAmount;
            lowerStake(before, delegator.bondedAmount, oldHint);
            checkpoint(before);
        }
        keepFactors(to);
        require(moved > 0, "delegation amount must be greater than 0");
        delegator.delegateAddress = to;
        delegator.bondedAmount += amount;
        requireRewardBeforeReturn(to);
        raiseStake(to, moved, newHint);
        if (to != owner) checkpoint(to);
        if (amount > 0) livepeerToken().transferFrom(msg.sender, address(minter()), amount);
        emit Bond(to, before, owner, amount, delegator.bondedAmount);
        checkpoint(owner);
    }

    function unbond(uint256 amount) external {
        unbondWithHint(amount, address(0), address(0));
    }

    function unbondWithHint(uint256 amount, address prev, address next) public whenOpen {
        claim(msg.sender);
        require(delegatorStatus(msg.sender) == 1, "caller must be bonded");
        Delegator storage delegator = delegators[msg.sender];
        require(amount > 0, "unbond amount must be greater than 0");
        require(amount <= delegator.bondedAmount, "amount is greater than bonded amount");
        address from = delegator.delegateAddress;
        uint256 withdrawRound = currentRound() + unbondingPeriod;
        uint256 id = newLock(msg.sender, amount, withdrawRound);
        delegator.bondedAmount -= amount;
        if (delegator.bondedAmount == 0) {
            delegator.delegateAddress = address(0);
            delegator.startRound = 0;
            if (pool.contains(msg.sender)) resign(msg.sender);
        }
        lowerStake(from, amount, Hint(prev, next));
        if (from != msg.sender) checkpoint(from);
        emit Unbond(from, msg.sender, id, amount, withdrawRound);
        checkpoint(msg.sender);
    }

    function rebond(uint256 id) external {
        rebondWithHint(id, address(0), address(0));
    }

    function rebondWithHint(uint256 id, address prev, address next) public whenOpen {
        claim(msg.sender);
        require(delegatorStatus(msg.sender) != 2, "caller must be bonded");
        bondLock(msg.sender, id, Hint(prev, next));
    }

    function rebondFromUnbonded(address to, uint256 id) external {
        rebondFromUnbondedWithHint(to, id, address(0), address(0));
    }

    function rebondFromUnbondedWithHint(address to, uint256 id, address prev, address next) public whenOpen {
        claim(msg.sender);
        require(delegatorStatus(msg.sender) == 2, "caller must be unbonded");
        keepFactors(to);
        delegators[msg.sender].startRound = currentRound() + 1;
        delegators[msg.sender].delegateAddress = to;
        bondLock(msg.sender, id, Hint(prev, next));
    }

    function transferBond(
        address to,
        uint256 amount,
        address oldDelegatePrev,
        address oldDelegateNext,
        address newDelegatePrev,
        address newDelegateNext
    ) external whenOpen {
        requireMayClaimFor(to);
        claim(msg.sender);
        address delegate = delegators[msg.sender].delegateAddress;
        unbondWithHint(amount, oldDelegatePrev, oldDelegateNext);
        uint256 given = delegators[msg.sender].nextUnbondingLockId - 1;
        uint256 taken = newLock(to, amount, locks[msg.sender][given].withdrawRound);
        delete locks[msg.sender][given];
        emit TransferBond(msg.sender, to, given, taken, amount);

        claim(to);
        Delegator storage receiver = delegators[to];
        if (receiver.bondedAmount == 0) {
            if (receiver.delegateAddress == address(0)) {
                require(to != delegate && to != address(0), "INVALID_DELEGATOR");
                receiver.delegateAddress = delegate;
            }
            receiver.startRound = currentRound() + 1;
        }
        bondLock(to, taken, Hint(newDelegatePrev, newDelegateNext));
    }

    function withdrawStake(uint256 id) external whenOpen {
        requireLock(msg.sender, id);
        UnbondingLock memory lock = locks[msg.sender][id];
        require(
            lock.withdrawRound <= currentRound(), "withdraw round must be before or equal to the current round"
        );
        delete locks[msg.sender][id];
        minter().trustedTransferTokens(msg.sender, lock.amount);
        emit WithdrawStake(msg.sender, id, lock.amount, lock.withdrawRound);
    }

    function claimEarnings(uint256) external whenOpen {
        claim(msg.sender);
        checkpoint(msg.sender);
    }

    function withdrawFees(address payable recipient, uint256 amount) external whenOpen {
        claim(msg.sender);
        require(recipient != address(0), "invalid recipient");
        require(delegators[msg.sender].fees >= amount, "insufficient fees to withdraw");
        delegators[msg.sender].fees -= amount;
        minter().trustedWithdrawETH(recipient, amount);
        emit WithdrawFees(msg.sender, recipient, amount);
        checkpoint(msg.sender);
    }

    function checkpointBondingState(address addr) external {
        checkpoint(addr);
    }

    function newLock(address owner, uint256 amount, uint256 withdrawRound) private returns (uint256 id) {
        id = delegators[owner].nextUnbondingLockId++;
        locks[owner][id] = UnbondingLock(amount, withdrawRound);
    }

    function bondLock(address owner, uint256 id, Hint memory hint) private {
        requireLock(owner, id);
        Delegator storage delegator = delegators[owner];
        uint256 amount = locks[owner][id].amount;
        address to = delegator.delegateAddress;
        delete locks[owner][id];
        delegator.bondedAmount += amount;
        requireRewardBeforeReturn(to);
        raiseStake(to, amount, hint);
        if (to != owner) checkpoint(to);
        emit Rebond(to, owner, id, amount);
        checkpoint(owner);
    }

    // Orchestrators

    function transcoder(uint256 rewardCut, uint256 feeShare) external {
        transcoderWithHint(rewardCut, feeShare, address(0), address(0));
    }

    function transcoderWithHint(uint256 rewardCut, uint256 feeShare, address prev, address next) public whenOpen {
        require(!roundsManager().currentRoundLocked(), "can't update transcoder params, current round is locked");
        require(rewardCut <= Shares.PERC, "invalid rewardCut percentage");
        require(feeShare <= Shares.PERC, "invalid feeShare percentage");
        require(isRegisteredTranscoder(msg.sender), "transcoder must be registered");
        Transcoder storage entry = transcoders[msg.sender];
        require(
            !isActiveTranscoder(msg.sender) || entry.lastRewardRound == currentRound(),
            "caller can't be active or must have already called reward for the current round"
        );
        entry.rewardCut = rewardCut;
        entry.feeShare = feeShare;
        if (!pool.contains(msg.sender)) {
            tryJoin(msg.sender, delegators[msg.sender].delegatedAmount, Hint(prev, next));
        }
        emit TranscoderUpdate(msg.sender, rewardCut, feeShare);
    }

    function reward() external {
        rewardWithHint(address(0), address(0));
    }

    function rewardWithHint(address prev, address next) public whenOpen {
        rewardOf(msg.sender, Hint(prev, next));
    }

    function setRewardCaller(address rewardCaller) external whenSystemNotPaused {
        requireLive();
        rewardCallers[msg.sender] = rewardCaller;
        emit RewardCallerSet(msg.sender, rewardCaller);
    }

    function transcoderToRewardCaller(address addr) external view returns (address) {
        requireLive();
        return rewardCallers[addr];
    }

    function rewardForTranscoder(address addr) external {
        rewardForTranscoderWithHint(addr, address(0), address(0));
    }

    function rewardForTranscoderWithHint(address addr, address prev, address next) public whenOpen {
        requireLive();
        require(rewardCallers[addr] == msg.sender, "caller must be a reward caller set by the transcoder");
        rewardOf(addr, Hint(prev, next));
    }

    function rewardOf(address addr, Hint memory hint) private {
        uint256 round = currentRound();
        require(
            isActiveTranscoder(addr), live ? "transcoder must be active" : "caller must be an active transcoder"
        );
        Transcoder storage entry = transcoders[addr];
        require(entry.lastRewardRound != round, "caller has already called reward for the current round");
        EarningsPool storage earnings = openPool(addr, round);
        if (treasuryBalanceCeiling > 0 && nextRoundTreasuryRewardCutRate > 0) {
            if (livepeerToken().balanceOf(named("Treasury")) >= treasuryBalanceCeiling) changeTreasuryCut(0);
        }

        uint256 amount = minter().createReward(earnings.totalStake, currentRoundTotalActiveStake);
        uint256 forTreasury = amount.precise(treasuryRewardCutRate);
        if (forTreasury > 0) {
            amount -= forTreasury;
            address treasury = named("Treasury");
            minter().trustedTransferTokens(treasury, forTreasury);
            emit TreasuryReward(addr, treasury, forTreasury);
        }
        uint256 cut = amount.perc(earnings.transcoderRewardCut);
        uint256 own = entry.cumulativeRewards;
        entry.activeCumulativeRewards = own;
        entry.cumulativeRewards = own + (amount - cut).precise(own, earnings.totalStake) + cut;
        uint256 factor = oneIfNone(earningsPools[addr][entry.lastRewardRound].cumulativeRewardFactor);
        earnings.cumulativeRewardFactor = factor + factor.precise(amount - cut, earnings.totalStake);
        raiseStake(addr, amount, hint);
        entry.lastRewardRound = round;
        emit Reward(addr, amount);
        checkpoint(addr);
    }

    function updateTranscoderWithFees(address addr, uint256 fees, uint256)
        external
        whenSystemNotPaused
        onlyContract("TicketBroker")
    {
        if (live) require(isActiveTranscoder(addr), "transcoder must be active");
        else require(isRegisteredTranscoder(addr), "transcoder must be registered");
        uint256 round = currentRound();
        Transcoder storage entry = transcoders[addr];
        bool rewarded = entry.lastRewardRound == round;
        EarningsPool storage earnings = rewarded ? earningsPools[addr][round] : openPool(addr, round);
        uint256 own = rewarded ? entry.activeCumulativeRewards : entry.cumulativeRewards;

        (uint256 rewardFactor, uint256 feeFactor) = latestFactors(addr, round - 1);
        if (rewardFactor == 0 && rewarded) rewardFactor = factorBefore(earnings);
        uint256 forDelegators = fees.perc(earnings.transcoderFeeShare);
        entry.cumulativeFees += forDelegators.precise(own, earnings.totalStake) + fees - forDelegators;
        if (earnings.cumulativeFeeFactor > 0) feeFactor = earnings.cumulativeFeeFactor;
        earnings.cumulativeFeeFactor =
            feeFactor + oneIfNone(rewardFactor).precise(forDelegators, earnings.totalStake);
        entry.lastFeeRound = round;
    }

    /// What the reward factor was before this round's reward, reckoned back where no round before it had one stored.
    function factorBefore(EarningsPool storage earnings) private view returns (uint256) {
        uint256 minted = (minter().currentMintableTokens() + minter().currentMintedTokens()).precise(
            earnings.totalStake, currentRoundTotalActiveStake
        );
        minted -= minted.precise(treasuryRewardCutRate);
        uint256 forDelegators = minted - minted.perc(earnings.transcoderRewardCut);
        return earnings.cumulativeRewardFactor.precise(earnings.totalStake, forDelegators + earnings.totalStake);
    }

    /// Takes a share of an orchestrator's own stake away. The live protocol has no Verifier that could.
    function slashTranscoder(address addr, address finder, uint256 share, uint256 finderShare)
        external
        whenSystemNotPaused
        onlyContract("Verifier")
    {
        claim(addr);
        Delegator storage delegator = delegators[addr];
        uint256 penalty = delegator.bondedAmount.perc(share);
        uint256 forFinder = finder == address(0) ? 0 : penalty.perc(finderShare);
        if (penalty > 0) {
            if (pool.contains(addr)) resign(addr);
            delegator.bondedAmount -= penalty;
            if (delegatorStatus(addr) == 1) delegators[delegator.delegateAddress].delegatedAmount -= penalty;
            if (forFinder > 0) minter().trustedTransferTokens(finder, forFinder);
            minter().trustedBurnTokens(penalty - forFinder);
        }
        emit TranscoderSlashed(addr, finder, penalty, forFinder);
        checkpoint(addr);
    }

    // Views

    function getTranscoder(address addr) external view returns (Transcoder memory) {
        return transcoders[addr];
    }

    function getDelegator(address addr) external view returns (Delegator memory) {
        return delegators[addr];
    }

    function getDelegatorUnbondingLock(address addr, uint256 id) external view returns (UnbondingLock memory) {
        return locks[addr][id];
    }

    function getTranscoderEarningsPoolForRound(address addr, uint256 round)
        external
        view
        returns (EarningsPool memory)
    {
        return earningsPools[addr][round];
    }

    function isValidUnbondingLock(address addr, uint256 id) public view returns (bool) {
        return locks[addr][id].withdrawRound > 0;
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

    function delegatorStatus(address addr) public view returns (uint8) {
        if (delegators[addr].bondedAmount == 0) return 2;
        return delegators[addr].startRound > currentRound() ? 0 : 1;
    }

    function transcoderTotalStake(address addr) external view returns (uint256) {
        return delegators[addr].delegatedAmount;
    }

    function pendingStake(address addr, uint256) external view returns (uint256 stake) {
        (stake,) = earned(addr);
    }

    function pendingFees(address addr, uint256) external view returns (uint256 fees) {
        (, fees) = earned(addr);
    }

    function getTotalBonded() external view returns (uint256) {
        return currentRoundTotalActiveStake;
    }

    function getFirstTranscoderInPool() external view returns (address) {
        return pool.first();
    }

    function getNextTranscoderInPool(address addr) external view returns (address) {
        return pool.after_(addr);
    }

    function getTranscoderPoolSize() external view returns (uint256) {
        return pool.size;
    }

    function getTranscoderPoolMaxSize() external view returns (uint256) {
        return pool.maxSize;
    }

    function currentRound() private view returns (uint256) {
        return roundsManager().currentRound();
    }

    // Rules

    function requireOpen() private view whenSystemNotPaused whenRoundInitialized {}

    /// A contract from before the reward caller does not know these calls at all.
    function requireLive() private view {
        if (!live) revert();
    }

    function requireLock(address owner, uint256 id) private view {
        require(isValidUnbondingLock(owner, id), "invalid unbonding lock ID");
    }

    /// Somebody else's earnings may be claimed only when that cannot cost them this round's reward.
    function requireMayClaimFor(address owner) private view {
        Delegator storage delegator = delegators[owner];
        if (msg.sender == owner || delegator.bondedAmount == 0) return;
        if (!isActiveTranscoder(delegator.delegateAddress)) return;
        uint256 round = currentRound();
        require(
            transcoders[delegator.delegateAddress].lastRewardRound == round || delegator.lastClaimRound == round,
            "ILLEGAL_CLAIM_EARNINGS"
        );
    }

    /// More stake may put a leaving member back in, from next round on, and so end its activity in this one.
    function requireRewardBeforeReturn(address addr) private view {
        if (!live) return;
        uint256 round = currentRound();
        Transcoder storage entry = transcoders[addr];
        bool leaving = isActiveTranscoder(addr) && entry.deactivationRound == round + 1;
        require(
            !leaving || entry.lastRewardRound == round, "transcoder has not yet called reward for the current round"
        );
    }

    // Earnings

    function claim(address addr) private {
        Delegator storage entry = delegators[addr];
        uint256 round = currentRound();
        if (entry.lastClaimRound >= round) return;
        (uint256 stake, uint256 fees) = earned(addr);
        address to = entry.delegateAddress;
        if (to != address(0)) keepFactors(to);
        if (to == addr) {
            transcoders[addr].cumulativeRewards = 0;
            transcoders[addr].cumulativeFees = 0;
        }
        emit EarningsClaimed(to, addr, stake - entry.bondedAmount, fees - entry.fees, entry.lastClaimRound + 1, round);
        entry.bondedAmount = stake;
        entry.fees = fees;
        entry.lastClaimRound = round;
    }

    function earned(address addr) private view returns (uint256 stake, uint256 fees) {
        Delegator memory entry = delegators[addr];
        address to = entry.delegateAddress;
        (stake, fees) = (entry.bondedAmount, entry.fees);
        uint256 round = currentRound();
        if (to != address(0) && entry.lastClaimRound < round) {
            EarningsPool storage start = earningsPools[to][entry.lastClaimRound];
            uint256 startFactor = oneIfNone(start.cumulativeRewardFactor);
            (uint256 rewardFactor, uint256 feeFactor) = latestFactors(to, round);
            fees += stake.precise(feeFactor - start.cumulativeFeeFactor, startFactor);
            stake = stake.precise(oneIfNone(rewardFactor), startFactor);
        }
        if (to == addr) {
            stake += transcoders[addr].cumulativeRewards;
            fees += transcoders[addr].cumulativeFees;
        }
    }

    /// Whoever claims in this round starts from the factors that are stored for it.
    function keepFactors(address addr) private {
        uint256 round = currentRound();
        EarningsPool storage earnings = earningsPools[addr][round];
        (earnings.cumulativeRewardFactor, earnings.cumulativeFeeFactor) = latestFactors(addr, round);
    }

    /// The factors of a round, or of the last reward and the last fees before it; 0 where there was none.
    function latestFactors(address addr, uint256 round)
        private
        view
        returns (uint256 rewardFactor, uint256 feeFactor)
    {
        Transcoder storage entry = transcoders[addr];
        mapping(uint256 => EarningsPool) storage pools = earningsPools[addr];
        rewardFactor = pools[round].cumulativeRewardFactor;
        feeFactor = pools[round].cumulativeFeeFactor;
        if (rewardFactor == 0 && entry.lastRewardRound < round) {
            rewardFactor = pools[entry.lastRewardRound].cumulativeRewardFactor;
        }
        if (feeFactor == 0 && entry.lastFeeRound < round) feeFactor = pools[entry.lastFeeRound].cumulativeFeeFactor;
    }

    function oneIfNone(uint256 factor) private pure returns (uint256) {
        return factor == 0 ? Shares.PRECISE : factor;
    }

    /// The round's earnings pool with stake and cuts as they hold for it.
    function openPool(address addr, uint256 round) private returns (EarningsPool storage earnings) {
        Transcoder storage entry = transcoders[addr];
        earnings = earningsPools[addr][round];
        earnings.transcoderRewardCut = entry.rewardCut;
        earnings.transcoderFeeShare = entry.feeShare;
        if (entry.lastActiveStakeUpdateRound < round) {
            earnings.totalStake = earningsPools[addr][entry.lastActiveStakeUpdateRound].totalStake;
        }
    }

    // Stake and the pool

    function raiseStake(address addr, uint256 amount, Hint memory hint) private {
        uint256 stake = delegators[addr].delegatedAmount + amount;
        if (isRegisteredTranscoder(addr)) {
            if (pool.contains(addr)) {
                nextRoundTotalActiveStake += amount;
                setPoolStake(addr, stake, hint);
            } else {
                tryJoin(addr, stake, hint);
            }
        }
        delegators[addr].delegatedAmount = stake;
    }

    function lowerStake(address addr, uint256 amount, Hint memory hint) private {
        uint256 stake = delegators[addr].delegatedAmount - amount;
        if (pool.contains(addr)) {
            nextRoundTotalActiveStake -= amount;
            setPoolStake(addr, stake, hint);
        }
        delegators[addr].delegatedAmount = stake;
    }

    function setPoolStake(address addr, uint256 stake, Hint memory hint) private {
        keepStakeOfThisRound(addr);
        earningsPools[addr][currentRound() + 1].totalStake = stake;
        pool.update(addr, stake, hint.prev, hint.next);
    }

    function keepStakeOfThisRound(address addr) private {
        Transcoder storage entry = transcoders[addr];
        uint256 round = currentRound();
        uint256 last = entry.lastActiveStakeUpdateRound;
        if (last < round) earningsPools[addr][round].totalStake = earningsPools[addr][last].totalStake;
        entry.lastActiveStakeUpdateRound = round + 1;
    }

    function tryJoin(address addr, uint256 stake, Hint memory hint) private {
        if (pool.size == pool.maxSize) {
            address tail = pool.last();
            if (pool.nodes[tail].stake >= stake) return;
            resign(tail);
        }
        uint256 nextRound = currentRound() + 1;
        if (live) keepStakeOfThisRound(addr);
        else transcoders[addr].lastActiveStakeUpdateRound = nextRound;
        earningsPools[addr][nextRound].totalStake = stake;
        pool.insert(addr, stake, hint.prev, hint.next);
        nextRoundTotalActiveStake += stake;
        transcoders[addr].activationRound = nextRound;
        transcoders[addr].deactivationRound = type(uint256).max;
        emit TranscoderActivated(addr, nextRound);
    }

    function resign(address addr) private {
        uint256 nextRound = currentRound() + 1;
        nextRoundTotalActiveStake -= pool.nodes[addr].stake;
        pool.remove(addr);
        transcoders[addr].deactivationRound = nextRound;
        emit TranscoderDeactivated(addr, nextRound);
    }

    /// Tells the votes what stake counts from the next round on.
    function checkpoint(address addr) private {
        Delegator memory entry = delegators[addr];
        bondingVotes().checkpointBondingState(
            addr,
            currentRound() + 1,
            entry.bondedAmount,
            entry.delegateAddress,
            entry.delegatedAmount,
            entry.lastClaimRound,
            transcoders[addr].lastRewardRound
        );
    }
}
