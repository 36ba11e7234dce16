// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import "./Protocol.sol";

/// Senders' deposits and reserves, and the redemption of winning tickets out of them.
contract TicketBroker is Managed {
    struct Ticket {
        address recipient;
        address sender;
        uint256 faceValue;
        uint256 winProb;
        uint256 senderNonce;
        bytes32 recipientRandHash;
        bytes auxData;
    }

    struct Sender {
        uint256 deposit;
        uint256 withdrawRound;
    }

    struct ReserveInfo {
        uint256 fundsRemaining;
        uint256 claimedInCurrentRound;
    }

    struct Reserve {
        uint256 funds;
        mapping(uint256 => uint256) claimed; // by round
        mapping(uint256 => mapping(address => uint256)) claimedBy; // by round and claimant
    }

    uint256 private constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    uint256 public unlockPeriod;
    uint256 public ticketValidityPeriod;
    mapping(bytes32 => bool) public usedTickets;
    mapping(address => Sender) private senders;
    mapping(address => Reserve) private reserves;

    event ParameterUpdate(string param);
    event DepositFunded(address indexed sender, uint256 amount);
    event ReserveFunded(address indexed reserveHolder, uint256 amount);
    event ReserveClaimed(address indexed reserveHolder, address claimant, uint256 amount);
    event WinningTicketTransfer(address indexed sender, address indexed recipient, uint256 amount);
    event WinningTicketRedeemed(
        address indexed sender,
        address indexed recipient,
        uint256 faceValue,
        uint256 winProb,
        uint256 senderNonce,
        uint256 recipientRand,
        bytes auxData
    );
    event Unlock(address indexed sender, uint256 startRound, uint256 endRound);
    event UnlockCancelled(address indexed sender);
    event Withdrawal(address indexed sender, uint256 deposit, uint256 reserve);

    constructor(IController controller_, uint256 unlockPeriod_, uint256 ticketValidityPeriod_) Managed(controller_) {
        unlockPeriod = unlockPeriod_;
        ticketValidityPeriod = ticketValidityPeriod_;
    }

    function setUnlockPeriod(uint256 rounds) external onlyControllerOwner {
        unlockPeriod = rounds;
        emit ParameterUpdate("unlockPeriod");
    }

    function setTicketValidityPeriod(uint256 rounds) external onlyControllerOwner {
        require(rounds > 0, "ticketValidityPeriod must be greater than 0");
        ticketValidityPeriod = rounds;
        emit ParameterUpdate("ticketValidityPeriod");
    }

    // Funding

    function fundDeposit() external payable whenSystemNotPaused {
        fund(msg.sender, msg.value, 0);
    }

    function fundReserve() external payable whenSystemNotPaused {
        fund(msg.sender, 0, msg.value);
    }

    function fundDepositAndReserve(uint256 depositAmount, uint256 reserveAmount) external payable {
        fundDepositAndReserveFor(msg.sender, depositAmount, reserveAmount);
    }

    function fundDepositAndReserveFor(address addr, uint256 depositAmount, uint256 reserveAmount)
        public
        payable
        whenSystemNotPaused
    {
        require(
            msg.value == depositAmount + reserveAmount,
            "msg.value does not equal sum of deposit amount and reserve amount"
        );
        fund(addr, depositAmount, reserveAmount);
    }

    function fund(address addr, uint256 depositAmount, uint256 reserveAmount) private {
        minter().depositETH{value: msg.value}();
        if (depositAmount > 0) {
            senders[addr].deposit += depositAmount;
            emit DepositFunded(addr, depositAmount);
        }
        if (reserveAmount > 0) {
            reserves[addr].funds += reserveAmount;
            emit ReserveFunded(addr, reserveAmount);
        }
        if (addr == msg.sender && senders[addr].withdrawRound > 0) stay(addr);
    }

    // Redemption

    function redeemWinningTicket(Ticket memory ticket, bytes memory sig, uint256 recipientRand)
        public
        whenSystemNotPaused
        whenRoundInitialized
    {
        bytes32 ticketHash = getTicketHash(ticket);
        requireValid(ticket, ticketHash, sig, recipientRand);

        Sender storage sender = senders[ticket.sender];
        uint256 round = roundsManager().currentRound();
        require(sender.withdrawRound == 0 || round < sender.withdrawRound, "sender is unlocked");
        require(sender.deposit > 0 || reserves[ticket.sender].funds > 0, "sender deposit and reserve are zero");

        usedTickets[ticketHash] = true;
        uint256 amount = ticket.faceValue;
        if (amount > sender.deposit) {
            uint256 deposit = sender.deposit;
            sender.deposit = 0;
            amount = deposit + claim(ticket.sender, ticket.recipient, amount - deposit, round);
        } else {
            sender.deposit -= amount;
        }
        if (amount > 0) {
            bondingManager().updateTranscoderWithFees(ticket.recipient, amount, round);
            emit WinningTicketTransfer(ticket.sender, ticket.recipient, amount);
        }
        emit WinningTicketRedeemed(
            ticket.sender,
            ticket.recipient,
            ticket.faceValue,
            ticket.winProb,
            ticket.senderNonce,
            recipientRand,
            ticket.auxData
        );
    }

    function batchRedeemWinningTickets(Ticket[] memory tickets, bytes[] memory sigs, uint256[] memory recipientRands)
        external
        whenSystemNotPaused
        whenRoundInitialized
    {
        for (uint256 i = 0; i < tickets.length; i++) {
            bytes memory inner = abi.encodeCall(this.redeemWinningTicket, (tickets[i], sigs[i], recipientRands[i]));
            (bool done,) = address(this).call(inner);
            done; // one bad ticket does not stop the others
        }
    }

    function getTicketHash(Ticket memory ticket) public pure returns (bytes32) {
        return keccak256(
            abi.encodePacked(
                ticket.recipient,
                ticket.sender,
                ticket.faceValue,
                ticket.winProb,
                ticket.senderNonce,
                ticket.recipientRandHash,
                ticket.auxData
            )
        );
    }

    function requireValid(Ticket memory ticket, bytes32 ticketHash, bytes memory sig, uint256 recipientRand)
        private
        view
    {
        require(ticket.recipient != address(0), "ticket recipient is null address");
        require(ticket.sender != address(0), "ticket sender is null address");
        require(ticket.auxData.length == 64, "invalid length for ticket auxData: must be 64 bytes");
        (uint256 creationRound, bytes32 creationHash) = abi.decode(ticket.auxData, (uint256, bytes32));
        bytes32 roundHash = roundsManager().blockHashForRound(creationRound);
        require(roundHash != bytes32(0), "ticket creationRound does not have a block hash");
        require(roundHash == creationHash, "ticket creationRoundBlockHash invalid for creationRound");
        require(creationRound + ticketValidityPeriod > roundsManager().currentRound(), "ticket is expired");
        require(
            keccak256(abi.encodePacked(recipientRand)) == ticket.recipientRandHash,
            "recipientRand does not match recipientRandHash"
        );
        require(!usedTickets[ticketHash], "ticket is used");
        require(signer(ticketHash, sig) == ticket.sender, "invalid signature over ticket hash");
        require(uint256(keccak256(abi.encodePacked(sig, recipientRand))) < ticket.winProb, "ticket did not win");
    }

    function signer(bytes32 message, bytes memory sig) private pure returns (address found) {
        require(sig.length == 65, "INVALID_SIGNATURE_LENGTH");
        bytes32 r;
        bytes32 s;
        uint8 v;
        assembly {
            r := mload(add(sig, 0x20))
            s := mload(add(sig, 0x40))
            v := byte(0, mload(add(sig, 0x60)))
        }
        require(uint256(s) <= HALF_ORDER, "ECDSA: invalid signature 's' value");
        found = ecrecover(keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", message)), v, r, s);
        require(found != address(0), "ECDSA: invalid signature");
    }

    // Reserve

    function claimableReserve(address holder, address claimant) public view returns (uint256) {
        return claimable(holder, claimant, roundsManager().currentRound());
    }

    function claimedReserve(address holder, address claimant) external view returns (uint256) {
        return reserves[holder].claimedBy[roundsManager().currentRound()][claimant];
    }

    function getReserveInfo(address holder) public view returns (ReserveInfo memory) {
        Reserve storage reserve = reserves[holder];
        return ReserveInfo(reserve.funds, reserve.claimed[roundsManager().currentRound()]);
    }

    function claim(address holder, address claimant, uint256 wanted, uint256 round) private returns (uint256 amount) {
        uint256 most = claimable(holder, claimant, round);
        amount = wanted < most ? wanted : most;
        if (amount == 0) return 0;
        Reserve storage reserve = reserves[holder];
        reserve.funds -= amount;
        reserve.claimed[round] += amount;
        reserve.claimedBy[round][claimant] += amount;
        emit ReserveClaimed(holder, claimant, amount);
    }

    function claimable(address holder, address claimant, uint256 round) private view returns (uint256) {
        uint256 poolSize = bondingManager().getTranscoderPoolSize();
        if (poolSize == 0 || !bondingManager().isActiveTranscoder(claimant)) return 0;
        Reserve storage reserve = reserves[holder];
        return (reserve.funds + reserve.claimed[round]) / poolSize - reserve.claimedBy[round][claimant];
    }

    // Leaving

    function unlock() external whenSystemNotPaused {
        Sender storage sender = senders[msg.sender];
        require(sender.deposit > 0 || reserves[msg.sender].funds > 0, "sender deposit and reserve are zero");
        require(sender.withdrawRound == 0, "unlock already initiated");
        uint256 round = roundsManager().currentRound();
        sender.withdrawRound = round + unlockPeriod;
        emit Unlock(msg.sender, round, sender.withdrawRound);
    }

    function cancelUnlock() external whenSystemNotPaused {
        stay(msg.sender);
    }

    function withdraw() external whenSystemNotPaused {
        Sender storage sender = senders[msg.sender];
        uint256 deposit = sender.deposit;
        uint256 reserve = reserves[msg.sender].funds;
        require(deposit > 0 || reserve > 0, "sender deposit and reserve are zero");
        require(sender.withdrawRound > 0, "no unlock request in progress");
        require(roundsManager().currentRound() >= sender.withdrawRound, "account is locked");
        sender.deposit = 0;
        reserves[msg.sender].funds = 0;
        minter().trustedWithdrawETH(msg.sender, deposit + reserve);
        emit Withdrawal(msg.sender, deposit, reserve);
    }

    function stay(address addr) private {
        require(senders[addr].withdrawRound > 0, "no unlock request in progress");
        senders[addr].withdrawRound = 0;
        emit UnlockCancelled(addr);
    }

    function isUnlockInProgress(address sender) external view returns (bool) {
        return senders[sender].withdrawRound > 0;
    }

    function getSenderInfo(address addr) external view returns (Sender memory sender, ReserveInfo memory reserve) {
        return (senders[addr], getReserveInfo(addr));
    }
}
