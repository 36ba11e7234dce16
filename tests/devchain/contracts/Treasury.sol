// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import "@openzeppelin/contracts/governance/TimelockController.sol";

/// Holds what rewards give to the treasury, and pays what the governor decided. Roles are given by its deployer.
contract Treasury is TimelockController {
    constructor() TimelockController(0, new address[](0), new address[](0), msg.sender) {}
}
