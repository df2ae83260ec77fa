// basalt-web answers with where it runs: the web server that shows that a cluster's pods and Services work.
//
//	/         what answered, where, and to whom; as text, or as a page for a browser
//	/healthz  "ok" while it serves
//
// With -ask it is the other side: what a pod, which has no shell and no other client, asks another one with.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// fact is one line of the answer.
type fact struct{ Name, Value string }

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Basalt Linux</title>
<style>body{font:16px/1.6 sans-serif;margin:4rem auto;max-width:40rem}th{text-align:left;padding-right:2rem}</style>
</head><body><h1>Basalt Linux</h1><table>
{{range .}}<tr><th>{{.Name}}</th><td>{{.Value}}</td></tr>
{{end}}</table></body></html>
`))

// facts says who answers this request. A Deployment passes the pod's facts in through the downward API.
func facts(request *http.Request) []fact {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return []fact{
		{"pod", cmp.Or(os.Getenv("POD_NAME"), host)},
		{"address", cmp.Or(os.Getenv("POD_IP"), "unknown")},
		{"node", cmp.Or(os.Getenv("NODE_NAME"), "unknown")},
		{"client", request.RemoteAddr},
		{"request", request.Method + " " + request.Host + request.URL.Path},
		{"runtime", runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH},
	}
}

func answer(writer http.ResponseWriter, request *http.Request) {
	if strings.Contains(request.Header.Get("Accept"), "text/html") {
		writer.Header().Set("Content-Type", "text/html; charset=utf-8")
		if err := page.Execute(writer, facts(request)); err != nil {
			log.Print("answering ", request.RemoteAddr, ": ", err)
		}
		return
	}
	writer.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(writer, "Hello from Basalt Linux")
	for _, fact := range facts(request) {
		fmt.Fprintf(writer, "%-8s %s\n", fact.Name, fact.Value)
	}
}

// ask prints another server's answer.
func ask(url string) error {
	client := http.Client{Timeout: 20 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(os.Stdout, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

func main() {
	listen := flag.String("listen", ":8080", "address to answer on")
	other := flag.String("ask", "", "a `URL` to ask instead of answering; its answer is printed")
	flag.Parse()
	log.SetFlags(0)
	if *other != "" {
		if err := ask(*other); err != nil {
			log.Fatal(err)
		}
		return
	}

	routes := http.NewServeMux()
	routes.HandleFunc("GET /{$}", answer)
	routes.HandleFunc("GET /healthz", func(writer http.ResponseWriter, _ *http.Request) { fmt.Fprintln(writer, "ok") })
	server := &http.Server{Addr: *listen, Handler: routes, ReadHeaderTimeout: 10 * time.Second}

	stop, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer release()
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-stop.Done()
		// Requests under way get to end; the kubelet kills what takes longer than its grace period.
		grace, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := server.Shutdown(grace); err != nil {
			log.Print("stopping: ", err)
		}
	}()

	log.Print("answering on ", *listen)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	<-done
}
