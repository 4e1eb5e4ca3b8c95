// Command workload is what runs in containers that tests make by hand: one static program is a whole image.
//
// workload pause: waits for SIGTERM or SIGINT and buries children that nobody else does, as the first process of
// a pod or of a namespace has to.
// workload serve PORT: answers every HTTP request with its host name and its environment as JSON, and logs the path.
// workload gateway PORT: the same, unless EXTRA_JAVA_ARGS asks for a migration alone: then it says so and ends.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "pause":
		pause()
	case len(os.Args) == 3 && os.Args[1] == "serve":
		serve(os.Args[2])
	case len(os.Args) == 3 && os.Args[1] == "gateway":
		if strings.Contains(os.Getenv("EXTRA_JAVA_ARGS"), "-Dgateway.db.schema-update.mode=liquibase-only") {
			fmt.Println("the schema is up to date")
			return
		}
		serve(os.Args[2])
	default:
		fmt.Fprintln(os.Stderr, "usage: workload pause | serve PORT | gateway PORT")
		os.Exit(2)
	}
}

func pause() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGTERM, syscall.SIGINT)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		// One signal may stand for several children.
		for {
			if pid, _ := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 {
				break
			}
		}
	}
}

func serve(port string) {
	// The first process of a container ignores signals that it does not ask for.
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-ended
		os.Exit(0)
	}()
	http.HandleFunc("/", func(writer http.ResponseWriter, request *http.Request) {
		fmt.Println(request.URL.Path)
		host, _ := os.Hostname()
		environment := map[string]string{}
		for _, entry := range os.Environ() {
			name, value, _ := strings.Cut(entry, "=")
			environment[name] = value
		}
		writer.Header().Set("Content-Type", "application/json")
		json.NewEncoder(writer).Encode(map[string]any{"host": host, "environment": environment})
	})
	fmt.Println("serving on port", port)
	fmt.Fprintln(os.Stderr, http.ListenAndServe(":"+port, nil))
	os.Exit(1)
}
