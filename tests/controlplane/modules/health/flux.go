package main

import (
	"context"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// The part of a Kustomization that says how custom resources are judged.
type kustomization struct {
	Spec struct {
		HealthCheckExprs []kustomize.CustomHealthCheck `json:"healthCheckExprs"`
	} `json:"spec"`
}

// flux gives a check that asks what the Kustomization says of the object's kind, else kstatus, as Flux does.
func flux(path string) (check, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var read kustomization
	if err := yaml.Unmarshal(text, &read); err != nil {
		return nil, err
	}
	if len(read.Spec.HealthCheckExprs) == 0 {
		return nil, fmt.Errorf("%s has no spec.healthCheckExprs", path)
	}
	evaluators := map[schema.GroupKind]*cel.StatusEvaluator{}
	for _, custom := range read.Spec.HealthCheckExprs {
		version, err := schema.ParseGroupVersion(custom.APIVersion)
		if err != nil {
			return nil, err
		}
		evaluator, err := cel.NewStatusEvaluator(&custom.HealthCheckExpressions)
		if err != nil {
			return nil, err
		}
		evaluators[schema.GroupKind{Group: version.Group, Kind: custom.Kind}] = evaluator
	}
	return func(object *unstructured.Unstructured) (Verdict, error) {
		evaluator, ok := evaluators[object.GroupVersionKind().GroupKind()]
		if !ok {
			return kstatus(object)
		}
		result, err := evaluator.Evaluate(context.Background(), object)
		return told(result, err)
	}, nil
}

func kstatus(object *unstructured.Unstructured) (Verdict, error) {
	result, err := status.Compute(object)
	return told(result, err)
}

func told(result *status.Result, err error) (Verdict, error) {
	if err != nil {
		return Verdict{}, err
	}
	return Verdict{Status: result.Status.String(), Message: result.Message}, nil
}
