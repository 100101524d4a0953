package deploy

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// TestKubernetes parses the manifests as strictly as the API server, and checks their ports, probes and times against each other and
// against the program.
func TestKubernetes(t *testing.T) {
	var set appsv1.StatefulSet
	var config corev1.ConfigMap
	services := map[string]corev1.Service{}
	decode := func(doc []byte, into any) {
		t.Helper()
		if err := yaml.UnmarshalStrict(doc, into); err != nil {
			t.Errorf("%v in\n%s", err, doc)
		}
	}
	for _, doc := range bytes.Split(read(t, "kubernetes", "hlsorigin.yaml"), []byte("\n---\n")) {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(doc, &kind); err != nil {
			t.Fatal(err)
		}
		switch kind.Kind {
		case "StatefulSet":
			decode(doc, &set)
		case "ConfigMap":
			decode(doc, &config)
		case "Service":
			var s corev1.Service
			decode(doc, &s)
			services[s.Name] = s
		case "ServiceAccount":
			decode(doc, &corev1.ServiceAccount{})
		case "PodDisruptionBudget":
			decode(doc, &policyv1.PodDisruptionBudget{})
		default:
			t.Errorf("an unexpected %q", kind.Kind)
		}
	}
	if len(set.Spec.Template.Spec.Containers) != 1 || len(services) != 2 {
		t.Fatalf("%d containers, %d services", len(set.Spec.Template.Spec.Containers), len(services))
	}
	pod := set.Spec.Template.Spec
	c := pod.Containers[0]
	ports := map[string]int32{}
	for _, p := range c.Ports {
		ports[p.Name] = p.ContainerPort
	}
	for _, s := range services {
		for _, p := range s.Spec.Ports {
			if ports[p.TargetPort.StrVal] != p.Port {
				t.Errorf("service %s: port %d leads to %q", s.Name, p.Port, p.TargetPort.StrVal)
			}
		}
		for k, v := range s.Spec.Selector {
			if set.Spec.Template.Labels[k] != v {
				t.Errorf("service %s selects no pod of ours", s.Name)
			}
		}
	}
	if _, ok := services[set.Spec.ServiceName]; !ok {
		t.Errorf("there is no service %s", set.Spec.ServiceName)
	}
	for what, p := range map[string]*corev1.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
		if p == nil || p.HTTPGet == nil || ports[p.HTTPGet.Port.StrVal] == 0 {
			t.Errorf("no %s probe on a port of ours", what)
		}
	}
	const shutdown, drain = 20, 5 // shutdown.timeout and http.drain_timeout
	if g := *pod.TerminationGracePeriodSeconds; g < c.Lifecycle.PreStop.Sleep.Seconds+shutdown+drain {
		t.Errorf("killed after %d s, before it has stopped", g)
	}
	if len(set.Spec.VolumeClaimTemplates) != 1 {
		t.Error("the spool has no volume")
	}
	asked, most := c.Resources.Requests.Memory().Value(), c.Resources.Limits.Memory().Value()
	if asked != most || most < 256<<20 || !c.Resources.Limits.Cpu().IsZero() || c.Resources.Requests.Cpu().IsZero() {
		t.Errorf("memory %d of %d; a budget is for what cannot be taken away, and a processor's limit stalls shows", asked, most)
	}
	if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
		t.Error("the variables of all services of the namespace are in the environment")
	}

	// The program accepts the configuration, with the secrets and what Kubernetes itself adds to the environment.
	file := filepath.Join(t.TempDir(), "hlsorigin.yaml")
	if err := os.WriteFile(file, []byte(config.Data["hlsorigin.yaml"]), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"HLSORIGIN_SERVICE_HOST=10.0.0.1", "HLSORIGIN_SERVICE_PORT=5080", "HLSORIGIN_SERVICE_PORT_HTTP=5080", "HLSORIGIN_PORT=tcp://10.0.0.1:5080",
		"HLSORIGIN_PORT_5080_TCP=tcp://10.0.0.1:5080", "HLSORIGIN_PORT_5080_TCP_ADDR=10.0.0.1", "HLSORIGIN_PORT_5080_TCP_PORT=5080", "HLSORIGIN_PORT_5080_TCP_PROTO=tcp"}
	for _, e := range c.Env {
		env = append(env, e.Name+"=something-secret")
	}
	said := check(t, env, "-config", file)
	if strings.Contains(said, "something-secret") || !strings.Contains(said, "my-bucket") {
		t.Errorf("check says\n%s", said)
	}
}
