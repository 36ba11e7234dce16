docker run -d --name livepeer --restart unless-stopped \
  -v livepeer-data:/root/.lpData \
  --network host --gpus all \
  livepeer/go-livepeer:latest \
  -network arbitrum-one-mainnet \
  -ethUrl https://arb1.example.net/rpc \
  -orchestrator -transcoder -nvidia all \
  -serviceAddr 198.51.100.7:8935 \
  -maxSessions 10 -pricePerUnit 1000
