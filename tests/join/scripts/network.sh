# Gives the machine its name and address. NAME, ADDRESS, GATEWAY and MAC are set in the lines before these.
set -eu

# What a set-up that fails leaves on the console.
diagnose() {
    [ $? -eq 0 ] && return
    set +e
    cat /proc/loadavg
    grep -E '^(MemTotal|MemAvailable|SwapFree)' /proc/meminfo
    systemctl --no-pager list-jobs
    journalctl --no-pager --unit=containerd --unit=kubelet --lines=40
    tail --lines=20 /var/log/pods/*/*/*.log
}
trap diagnose EXIT

hostname "$NAME"
echo "$NAME" >/etc/hostname
echo "$ADDRESS $NAME" >>/etc/hosts
mkdir -p /etc/systemd/network
cat >/etc/systemd/network/10-cluster.network <<END
[Match]
MACAddress=$MAC

[Network]
Address=$ADDRESS/24
Gateway=$GATEWAY
DNS=$GATEWAY
${DHCP_SERVER:+$(printf '%s\n' DHCPServer=yes '[DHCPServer]' PoolOffset=150 PoolSize=50 EmitDNS=yes "DNS=$GATEWAY" EmitRouter=yes "Router=$GATEWAY")}
END
networkctl reload
/usr/lib/systemd/systemd-networkd-wait-online --ipv4 --timeout=120
