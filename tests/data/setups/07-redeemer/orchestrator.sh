livepeer -orchestrator -orchSecret ./orchSecret.txt -network arbitrum-one-mainnet -ethUrl https://arb1.example.net/rpc \
  -ethAcctAddr 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359 -ethOrchAddr 0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB \
  -redeemerAddr 10.0.0.9:8936 -serviceAddr o1.example.org:8935 -pricePerUnit 1000 -maxFaceValue 1000
