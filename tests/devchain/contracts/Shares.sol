// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// Parts of amounts, rounded down where the protocol rounds.
library Shares {
    uint256 internal constant PERC = 1_000_000;
    uint256 internal constant PRECISE = 10 ** 27;

    function perc(uint256 amount, uint256 parts) internal pure returns (uint256) {
        return amount * parts / PERC;
    }

    function precise(uint256 amount, uint256 parts) internal pure returns (uint256) {
        return amount * parts / PRECISE;
    }

    /// amount * numerator / denominator by way of a fraction of 10**27 parts: two roundings, as everywhere in earnings.
    function precise(uint256 amount, uint256 numerator, uint256 denominator) internal pure returns (uint256) {
        return precise(amount, numerator * PRECISE / denominator);
    }
}
