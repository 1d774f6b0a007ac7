#!/bin/bash
# Print a TCP port of the loopback interface that nobody listens on now.
while :; do
    port=$((20000 + RANDOM % 30000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo $port; exit; }
done
