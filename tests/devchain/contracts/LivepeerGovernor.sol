// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import "@openzeppelin/contracts/governance/extensions/GovernorSettings.sol";
import "@openzeppelin/contracts/governance/extensions/GovernorTimelockControl.sol";
import "@openzeppelin/contracts/governance/extensions/GovernorVotesQuorumFraction.sol";
import "./Protocol.sol";
import "./Shares.sol";

/// Decides on what the treasury pays. A delegator's vote takes its weight out of its orchestrator's.
contract LivepeerGovernor is
    Managed,
    Governor,
    GovernorSettings,
    GovernorTimelockControl,
    GovernorVotes,
    GovernorVotesQuorumFraction
{
    struct Rules {
        uint256 votingDelay; // rounds
        uint256 votingPeriod; // rounds
        uint256 proposalThreshold; // LPTU of votes
        uint256 quorum; // parts of 1,000,000 of all stake
        uint256 quota; // parts of 1,000,000 of votes for and against
    }

    struct Voter {
        bool hasVoted;
        uint8 support;
        uint256 overridden; // weight of its delegators who vote for themselves
    }

    struct Tally {
        uint256[3] votes; // against, for, abstain
        mapping(address => Voter) voters;
    }

    uint256 public quota;
    mapping(uint256 => Tally) private tallies;

    error InvalidVoteType(uint8 voteType);
    error VoteAlreadyCast();

    constructor(
        IController controller_,
        address votes_,
        address payable treasury_,
        Rules memory rules
    )
        Managed(controller_)
        Governor("LivepeerGovernor")
        GovernorSettings(rules.votingDelay, rules.votingPeriod, rules.proposalThreshold)
        GovernorTimelockControl(TimelockController(treasury_))
        GovernorVotes(IVotes(votes_))
        GovernorVotesQuorumFraction(rules.quorum)
    {
        quota = rules.quota;
    }

    function votes() external view returns (address) {
        return address(bondingVotes());
    }

    function quorumDenominator() public pure override returns (uint256) {
        return Shares.PERC;
    }

    function COUNTING_MODE() public pure override returns (string memory) {
        return "support=bravo&quorum=for,abstain,against";
    }

    function hasVoted(uint256 proposalId, address account) public view override returns (bool) {
        return tallies[proposalId].voters[account].hasVoted;
    }

    function proposalVotes(uint256 proposalId)
        public
        view
        returns (uint256 againstVotes, uint256 forVotes, uint256 abstainVotes)
    {
        uint256[3] storage counted = tallies[proposalId].votes;
        return (counted[0], counted[1], counted[2]);
    }

    function _quorumReached(uint256 proposalId) internal view override returns (bool) {
        (uint256 against, uint256 for_, uint256 abstain) = proposalVotes(proposalId);
        return against + for_ + abstain >= quorum(proposalSnapshot(proposalId));
    }

    function _voteSucceeded(uint256 proposalId) internal view override returns (bool) {
        (uint256 against, uint256 for_,) = proposalVotes(proposalId);
        return for_ >= Shares.perc(against + for_, quota);
    }

    function _countVote(uint256 proposalId, address account, uint8 support, uint256 weight, bytes memory)
        internal
        override
    {
        if (support > 2) revert InvalidVoteType(support);
        Tally storage tally = tallies[proposalId];
        Voter storage voter = tally.voters[account];
        if (voter.hasVoted) revert VoteAlreadyCast();
        voter.hasVoted = true;
        voter.support = support;

        uint256 round = proposalSnapshot(proposalId);
        address delegate = bondingVotes().delegatedAt(account, round);
        if (delegate == account) {
            weight -= voter.overridden;
        } else if (bondingVotes().delegatedAt(delegate, round) == delegate) {
            Voter storage orchestrator = tally.voters[delegate];
            orchestrator.overridden += weight;
            if (orchestrator.hasVoted) tally.votes[orchestrator.support] -= weight;
        }
        tally.votes[support] += weight;
    }

    // Several bases define these; Solidity wants to hear which one counts.

    function proposalThreshold() public view override(Governor, GovernorSettings) returns (uint256) {
        return super.proposalThreshold();
    }

    function state(uint256 proposalId)
        public
        view
        override(Governor, GovernorTimelockControl)
        returns (ProposalState)
    {
        return super.state(proposalId);
    }

    function supportsInterface(bytes4 interfaceId)
        public
        view
        override(Governor, GovernorTimelockControl)
        returns (bool)
    {
        return super.supportsInterface(interfaceId);
    }

    function _execute(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) {
        super._execute(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint256) {
        return super._cancel(targets, values, calldatas, descriptionHash);
    }

    function _executor() internal view override(Governor, GovernorTimelockControl) returns (address) {
        return super._executor();
    }
}
