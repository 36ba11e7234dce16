#!/bin/bash
export LP_NETWORK=arbitrum-one-mainnet LP_ETHURL=https://arb1.example.net/rpc
LP_ETHPASSWORD=/etc/lp/pass livepeer -orchestrator -transcoder -serviceAddr cpu.example.org:8936 \
  -ethAcctAddr=0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed -pricePerUnit=1200 -pricePerGateway=/etc/lp/gateways.json \
  --authWebhookUrl 'https://hooks.example.org/ask?key=0123456789abcdef' \
  -objectStore 's3+https://AKIDEXAMPLE:sup3r%2Fsecret@store.example.org/segments/lp'
