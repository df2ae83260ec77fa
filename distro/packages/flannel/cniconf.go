package main

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/flannel-io/flannel/pkg/backend"
	"github.com/flannel-io/flannel/pkg/subnet"
)

// writeCNIConf writes what the node's container runtime needs to connect pods: a bridge whose addresses come from the
// subnet that this node holds, with routes to all pods through it. The file appears whole or not at all: the runtime
// calls the network ready as soon as it sees it.
func writeCNIConf(path string, config *subnet.Config, network backend.Network) error {
	type object map[string]any
	lease := network.Lease()
	var ranges [][]object
	var routes []object
	if config.EnableIPv4 {
		ranges = append(ranges, []object{{"subnet": lease.Subnet.String()}})
		routes = append(routes, object{"dst": config.Network.String()})
	}
	if config.EnableIPv6 {
		ranges = append(ranges, []object{{"subnet": lease.IPv6Subnet.String()}})
		routes = append(routes, object{"dst": config.IPv6Network.String()})
	}
	text, err := json.MarshalIndent(object{
		"cniVersion": "1.0.0",
		"name":       "cbr0",
		"plugins": []object{
			{
				"type":             "bridge",
				"bridge":           "cni0",
				"mtu":              network.MTU(),
				"hairpinMode":      true,
				"isGateway":        true,
				"isDefaultGateway": true,
				"ipam": object{
					"type":   "host-local",
					"ranges": ranges,
					"routes": routes,
					// Pods do not outlive a reboot, so their addresses need not either.
					"dataDir": "/run/cni/addresses",
				},
			},
			{"type": "portmap", "capabilities": object{"portMappings": true}},
		},
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	next := path + ".next"
	if err := os.WriteFile(next, append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(next, path)
}
