// The CNI plugins as one program that acts as the plugin it is called as.
//
// Upstream builds a program per plugin: seventeen copies of the Go runtime and of netlink. Every pod start runs
// four of them, so one file also means that its pages are already in memory after the first.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"basalt.local/packages/cni-plugins/plugins/bandwidth"
	"basalt.local/packages/cni-plugins/plugins/bridge"
	"basalt.local/packages/cni-plugins/plugins/dummy"
	"basalt.local/packages/cni-plugins/plugins/firewall"
	"basalt.local/packages/cni-plugins/plugins/hostdevice"
	"basalt.local/packages/cni-plugins/plugins/hostlocal"
	"basalt.local/packages/cni-plugins/plugins/ipvlan"
	"basalt.local/packages/cni-plugins/plugins/loopback"
	"basalt.local/packages/cni-plugins/plugins/macvlan"
	"basalt.local/packages/cni-plugins/plugins/portmap"
	"basalt.local/packages/cni-plugins/plugins/ptp"
	"basalt.local/packages/cni-plugins/plugins/sbr"
	"basalt.local/packages/cni-plugins/plugins/static"
	"basalt.local/packages/cni-plugins/plugins/tap"
	"basalt.local/packages/cni-plugins/plugins/tuning"
	"basalt.local/packages/cni-plugins/plugins/vlan"
	"basalt.local/packages/cni-plugins/plugins/vrf"
)

var plugins = map[string]func(){
	"bandwidth":   bandwidth.Main,
	"bridge":      bridge.Main,
	"dummy":       dummy.Main,
	"firewall":    firewall.Main,
	"host-device": hostdevice.Main,
	"host-local":  hostlocal.Main,
	"ipvlan":      ipvlan.Main,
	"loopback":    loopback.Main,
	"macvlan":     macvlan.Main,
	"portmap":     portmap.Main,
	"ptp":         ptp.Main,
	"sbr":         sbr.Main,
	"static":      static.Main,
	"tap":         tap.Main,
	"tuning":      tuning.Main,
	"vlan":        vlan.Main,
	"vrf":         vrf.Main,
}

func main() {
	name := filepath.Base(os.Args[0])
	run, ok := plugins[name]
	if !ok {
		names := slices.Sorted(maps.Keys(plugins))
		fmt.Fprintf(os.Stderr, "%s: not a CNI plugin; call this program as one of: %s\n", name, strings.Join(names, ", "))
		os.Exit(1)
	}
	run()
}
