nohup ./videominer -ethAcctAddr 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed -orchSecret pool-secret -maxSessions 12 &
nohup ./livepool -ethAcctAddr 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed -nvidia all -monitor &
