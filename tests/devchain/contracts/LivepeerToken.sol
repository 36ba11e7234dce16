// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// LPT, of which its deployer and the Minter may make more.
contract LivepeerToken is ERC20Burnable, ERC20Permit {
    mapping(address => bool) public isMinter;

    event Mint(address indexed to, uint256 amount);
    event Burn(address indexed burner, uint256 amount);

    constructor() ERC20("Livepeer Token", "LPT") ERC20Permit("Livepeer Token") {
        isMinter[msg.sender] = true;
    }

    function allowMinter(address account) external {
        require(isMinter[msg.sender], "caller is no minter");
        isMinter[account] = true;
    }

    function mint(address to, uint256 amount) external {
        require(isMinter[msg.sender], "caller is no minter");
        _mint(to, amount);
        emit Mint(to, amount);
    }

    function _burn(address from, uint256 amount) internal override {
        super._burn(from, amount);
        emit Burn(from, amount);
    }
}
