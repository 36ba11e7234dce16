#!/bin/sh
# One machine, two cards.
ETH_URL="https://arb-mainnet.example-provider.com/v2/3f8a91c0d2b64e7fa5120b9c"

exec /usr/local/bin/livepeer \
    -network arbitrum-one-mainnet \
    -ethUrl "$ETH_URL" \
    -ethAcctAddr 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed \
    -orchestrator \
    -transcoder \
    -nvidia 0,1 \
    -pricePerUnit 1200 \
    -serviceAddr node1.example.org:8935 \
    -v 99 2>&1
