package main

import (
	"context"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What Argo CD takes for a health; any other word becomes Unknown.
var healths = map[string]bool{
	"Unknown": true, "Progressing": true, "Suspended": true, "Healthy": true, "Degraded": true, "Missing": true,
}

// argocd gives a check by a script under what Argo CD leaves to one from argocd-cm: the base and table libraries
// alone (os is there too, reduced to times: ours does without), the object as the global obj, and one second.
func argocd(script string) check {
	return func(object *unstructured.Unstructured) (Verdict, error) {
		state := lua.NewState(lua.Options{SkipOpenLibs: true})
		defer state.Close()
		for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
			call := lua.P{Fn: state.NewFunction(open), Protect: true}
			if err := state.CallByParam(call, lua.LString(name)); err != nil {
				return Verdict{}, err
			}
		}
		limit, done := context.WithTimeout(context.Background(), time.Second)
		defer done()
		state.SetContext(limit)
		state.SetGlobal("obj", toLua(state, object.Object))
		if err := state.DoString(script); err != nil {
			return Verdict{}, err
		}
		given, ok := state.Get(-1).(*lua.LTable)
		if !ok {
			return Verdict{}, fmt.Errorf("the script gave a %s, not a table", state.Get(-1).Type())
		}
		health := lua.LVAsString(given.RawGetString("status"))
		if !healths[health] {
			return Verdict{Status: "Unknown", Message: fmt.Sprintf("%q is no health", health)}, nil
		}
		return Verdict{Status: health, Message: lua.LVAsString(given.RawGetString("message"))}, nil
	}
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch known := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, item := range known {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, item := range known {
			table.Append(toLua(state, item))
		}
		return table
	case string:
		return lua.LString(known)
	case bool:
		return lua.LBool(known)
	case int64:
		return lua.LNumber(known)
	case float64:
		return lua.LNumber(known)
	}
	return lua.LNil
}
