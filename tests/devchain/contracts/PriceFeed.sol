// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// A feed in the shape of Chainlink's, whose answer anybody may set.
contract PriceFeed {
    uint8 public constant decimals = 8;
    string public constant description = "ETH / USD";
    uint256 public constant version = 4;

    struct RoundData {
        int256 answer;
        uint256 updatedAt;
    }

    uint80 private lastRound;
    mapping(uint80 => RoundData) private answers;

    constructor(int256 answer) {
        setAnswer(answer);
    }

    function setAnswer(int256 answer) public {
        lastRound += 1;
        answers[lastRound] = RoundData(answer, block.timestamp);
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return getRoundData(lastRound);
    }

    function getRoundData(uint80 round) public view returns (uint80, int256, uint256, uint256, uint80) {
        RoundData memory data = answers[round];
        require(data.updatedAt > 0, "No data present");
        return (round, data.answer, data.updatedAt, data.updatedAt, round);
    }
}
