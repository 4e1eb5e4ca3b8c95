// Command health tells what Argo CD, Flux and kstatus make of objects, by the libraries that they decide with.
//
//	health argocd SCRIPT         the Lua health check that Argo CD takes from its argocd-cm
//	health flux KUSTOMIZATION    the healthCheckExprs of a Flux Kustomization
//	health kstatus               kstatus, as Helm 4 and Flux use it where nothing else is said
//
// The last two ask kstatus as Flux forked it. Objects come on standard input as a JSON list; a JSON list goes out, one
// {"status", "message"} for each. It ends with 1 and says why where a check cannot be evaluated.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Verdict is what one check says about one object.
type Verdict struct {
	Status  string `json:"status"`
	Message string `json:"message,omitempty"`
}

type check func(*unstructured.Unstructured) (Verdict, error)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	judge, err := chosen(arguments)
	if err != nil {
		return err
	}
	told, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var items []json.RawMessage
	if err := json.Unmarshal(told, &items); err != nil {
		return err
	}
	verdicts := make([]Verdict, 0, len(items))
	for _, item := range items {
		// Whole numbers are int64 here and nothing else, as in what the three of them read from an API server.
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(item); err != nil {
			return err
		}
		verdict, err := judge(object)
		if err != nil {
			return err
		}
		verdicts = append(verdicts, verdict)
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

func chosen(arguments []string) (check, error) {
	switch {
	case len(arguments) == 2 && arguments[0] == "argocd":
		script, err := os.ReadFile(arguments[1])
		return argocd(string(script)), err
	case len(arguments) == 2 && arguments[0] == "flux":
		return flux(arguments[1])
	case len(arguments) == 1 && arguments[0] == "kstatus":
		return kstatus, nil
	}
	return nil, fmt.Errorf("want: argocd SCRIPT, flux KUSTOMIZATION or kstatus; got %q", arguments)
}
