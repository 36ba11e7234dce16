livepeer -orchestrator -transcoder -nvidia 0 \
  -network arbitrum-one-mainnet -ethUrl $ARB_RPC \
  -ethKeystorePath /home/lp/keys/hot.json -ethPassword "$(cat /home/lp/keys/hot.pass)" \
  -ethOrchAddr 0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB -reward false \
  -serviceAddr ${PUBLIC_HOST}:8935 -pricePerUnit 0
