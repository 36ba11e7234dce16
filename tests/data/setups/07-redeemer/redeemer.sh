livepeer -redeemer -httpAddr 10.0.0.9:8936 -network arbitrum-one-mainnet -ethUrl https://arb1.example.net/rpc \
  -ethAcctAddr 0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb -ethOrchAddr 0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB \
  -maxGasPrice 2000000000
