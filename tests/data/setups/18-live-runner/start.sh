livepeer -orchestrator -network arbitrum-one-mainnet -ethUrl wss://arb1.example.net/ws -ethPassword /etc/lp/pass \
  -ethAcctAddr 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed -orchSecret /etc/lp/secret.txt \
  -useLiveRunners -liveRunnerConfig runners.json -liveRunnerAddr http://10.0.0.4:8935 \
  -liveRunnerProxyUrl 'https://{proxy}.example.org' -serviceAddr live.example.org:8935 -pricePerUnit 100
