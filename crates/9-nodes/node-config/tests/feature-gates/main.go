// Writes the table of the feature gates of one kubelet, a file of src/rules/feature_gates/table.
//
// Usage, in an empty folder outside of the repository, for 1.36 (the newest one's modules are in distro/packages/kubernetes):
//
//	cp .../crates/9-nodes/node-config/tests/feature-gates/main.go .../distro/packages/kubernetes1.36/go.* .
//	GOFLAGS=-mod=mod go run . >.../crates/9-nodes/node-config/src/rules/feature_gates/table/v1_36.rs
//	rustfmt .../v1_36.rs
package main

import (
	"fmt"
	"log"
	"runtime/debug"
	"sort"
	"strings"

	_ "k8s.io/apiextensions-apiserver/pkg/features"
	_ "k8s.io/apiserver/pkg/features"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/featuregate"
	logsapi "k8s.io/component-base/logs/api/v1"
	metricsfeatures "k8s.io/component-base/metrics/features"
	cmfeatures "k8s.io/controller-manager/pkg/features"
	_ "k8s.io/kubernetes/pkg/features"
)

const head = `//! Feature gates of the kubelet of Kubernetes %s.

use super::super::FeatureGate;
use super::super::GateStage::{Alpha, Beta, Deprecated, Stable};
use super::gate;

/// All gates, sorted by name.
pub(super) const GATES: &[FeatureGate] = &[
`

func main() {
	gates := utilfeature.DefaultMutableFeatureGate
	for _, add := range []func(featuregate.MutableVersionedFeatureGate) error{
		logsapi.AddFeatureGates, metricsfeatures.AddFeatureGates, cmfeatures.SetupCurrentKubernetesSpecificFeatureGates,
	} {
		if err := add(gates); err != nil {
			log.Fatal(err)
		}
	}
	all := gates.GetAll()
	dependencies := map[featuregate.Feature][]featuregate.Feature{}
	if with, ok := interface{}(gates).(interface {
		Dependencies() map[featuregate.Feature][]featuregate.Feature
	}); ok {
		dependencies = with.Dependencies()
	}
	names := []string{}
	for name := range all {
		names = append(names, string(name))
	}
	sort.Strings(names)
	fmt.Printf(head, strings.TrimPrefix(version(), "v"))
	for _, name := range names {
		spec := all[featuregate.Feature(name)]
		stage := map[string]string{"ALPHA": "Alpha", "BETA": "Beta", "": "Stable", "DEPRECATED": "Deprecated"}[string(spec.PreRelease)]
		line := fmt.Sprintf("gate(%q, %s, %t)", name, stage, spec.Default)
		if spec.LockToDefault {
			line += ".locked()"
		}
		if needs := dependencies[featuregate.Feature(name)]; len(needs) > 0 {
			quoted := []string{}
			for _, need := range needs {
				quoted = append(quoted, fmt.Sprintf("%q", need))
			}
			sort.Strings(quoted)
			line += ".needs(&[" + strings.Join(quoted, ", ") + "])"
		}
		fmt.Println("    " + line + ",")
	}
	fmt.Println("];")
}

// version is that of the module k8s.io/kubernetes.
func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == "k8s.io/kubernetes" {
			return module.Version
		}
	}
	log.Fatal("k8s.io/kubernetes is not linked in")
	return ""
}
