// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import "./Protocol.sol";

/// Holds staked LPT and deposited ETH; mints a round's rewards out of inflation.
contract Minter is Managed {
    uint256 private constant PERC = 1_000_000_000;

    uint256 public inflation;
    uint256 public inflationChange;
    uint256 public targetBondingRate;
    uint256 public currentMintableTokens;
    uint256 public currentMintedTokens;

    event ParameterUpdate(string param);
    event SetCurrentRewardTokens(uint256 currentMintableTokens, uint256 currentInflation);

    constructor(IController controller_, uint256 inflation_, uint256 inflationChange_, uint256 targetBondingRate_)
        Managed(controller_)
    {
        inflation = inflation_;
        inflationChange = inflationChange_;
        targetBondingRate = targetBondingRate_;
    }

    function setInflationChange(uint256 change) external onlyControllerOwner {
        require(change <= PERC, "_inflationChange is invalid percentage");
        inflationChange = change;
        emit ParameterUpdate("inflationChange");
    }

    function setTargetBondingRate(uint256 rate) external onlyControllerOwner {
        require(rate <= PERC, "_targetBondingRate is invalid percentage");
        targetBondingRate = rate;
        emit ParameterUpdate("targetBondingRate");
    }

    function getController() external view returns (IController) {
        return controller;
    }

    function getGlobalTotalSupply() public view returns (uint256) {
        return livepeerToken().totalSupply();
    }

    function createReward(uint256 numerator, uint256 denominator)
        external
        onlyContract("BondingManager")
        whenSystemNotPaused
        returns (uint256 amount)
    {
        amount = currentMintableTokens * (numerator * PERC / denominator) / PERC;
        currentMintedTokens += amount;
        require(currentMintedTokens <= currentMintableTokens, "minted tokens cannot exceed mintable tokens");
        livepeerToken().mint(address(this), amount);
    }

    function setCurrentRewardTokens() external onlyContract("RoundsManager") whenSystemNotPaused {
        uint256 supply = getGlobalTotalSupply();
        uint256 bondingRate = supply == 0 ? 0 : bondingManager().getTotalBonded() * PERC / supply;
        if (bondingRate < targetBondingRate) {
            inflation = inflation + inflationChange > PERC ? PERC : inflation + inflationChange;
        } else if (bondingRate > targetBondingRate) {
            inflation = inflationChange > inflation ? 0 : inflation - inflationChange;
        }
        currentMintableTokens = supply * inflation / PERC;
        currentMintedTokens = 0;
        emit SetCurrentRewardTokens(currentMintableTokens, inflation);
    }

    function depositETH() external payable returns (bool) {
        return true;
    }

    function trustedWithdrawETH(address to, uint256 amount) external whenSystemNotPaused {
        require(msg.sender == named("BondingManager") || msg.sender == named("TicketBroker"), "caller is not trusted");
        payable(to).transfer(amount);
    }

    function trustedTransferTokens(address to, uint256 amount)
        external
        onlyContract("BondingManager")
        whenSystemNotPaused
    {
        livepeerToken().transfer(to, amount);
    }

    function trustedBurnTokens(uint256 amount) external onlyContract("BondingManager") whenSystemNotPaused {
        livepeerToken().burn(amount);
    }
}
