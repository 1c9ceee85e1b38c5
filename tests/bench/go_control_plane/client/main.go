// Many proxies, as far as a control plane can tell: each has a connection and an aggregated stream of its own, follows
// clusters, endpoints and one route, and accepts whatever it is given.
//
// usage: client SOCKET NODES whole|delta RESOURCES.json
//
// Prints how many seconds it took until every proxy had its clusters, endpoints and route; after that it goes on
// answering until its standard input ends, and then prints how many bytes of responses came in all.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
)

type named struct {
	Endpoints []struct {
		Name string `json:"cluster_name"`
	}
	Route struct{ Name string }
}

type proxy struct {
	id    string
	names map[string][]string // what it asks for by name, of each type
	open  map[string]bool     // types of which it has nothing yet
	bytes *atomic.Int64
	has   func() // is called once, when it has something of every type
}

func main() {
	socket, kind := os.Args[1], os.Args[3]
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	text, err := os.ReadFile(os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	var resources named
	if err := json.Unmarshal(text, &resources); err != nil {
		log.Fatal(err)
	}
	names := map[string][]string{resource.ClusterType: nil, resource.RouteType: {resources.Route.Name}}
	for _, each := range resources.Endpoints {
		names[resource.EndpointType] = append(names[resource.EndpointType], each.Name)
	}

	var served sync.WaitGroup
	var bytes atomic.Int64
	served.Add(count)
	begun := time.Now()
	for number := range count {
		each := &proxy{fmt.Sprintf("node-%d", number), names, map[string]bool{}, &bytes, served.Done}
		for kind := range names {
			each.open[kind] = true
		}
		go each.run(socket, kind)
	}
	served.Wait()
	fmt.Println(time.Since(begun).Seconds())
	io.Copy(io.Discard, os.Stdin)
	fmt.Println(bytes.Load())
}

func (p *proxy) run(socket, kind string) {
	connection, err := grpc.NewClient(
		"unix:"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithReadBufferSize(0),
		grpc.WithWriteBufferSize(0),
	)
	if err != nil {
		log.Fatal(err)
	}
	service := discovery.NewAggregatedDiscoveryServiceClient(connection)
	if kind == "delta" {
		stream, err := service.DeltaAggregatedResources(context.Background(), grpc.WaitForReady(true))
		p.follow(err, func(typeURL string, first bool, nonce, _ string) error {
			request := &discovery.DeltaDiscoveryRequest{TypeUrl: typeURL, ResponseNonce: nonce}
			if first {
				request.Node, request.ResourceNamesSubscribe = &core.Node{Id: p.id}, p.names[typeURL]
			}
			return stream.Send(request)
		}, func() (string, string, string, proto.Message, error) {
			response, err := stream.Recv()
			return response.GetTypeUrl(), response.GetNonce(), response.GetSystemVersionInfo(), response, err
		})
		return
	}
	stream, err := service.StreamAggregatedResources(context.Background(), grpc.WaitForReady(true))
	p.follow(err, func(typeURL string, first bool, nonce, version string) error {
		request := &discovery.DiscoveryRequest{
			TypeUrl: typeURL, ResponseNonce: nonce, VersionInfo: version, ResourceNames: p.names[typeURL],
		}
		if first {
			request.Node = &core.Node{Id: p.id}
		}
		return stream.Send(request)
	}, func() (string, string, string, proto.Message, error) {
		response, err := stream.Recv()
		return response.GetTypeUrl(), response.GetNonce(), response.GetVersionInfo(), response, err
	})
}

func (p *proxy) follow(
	err error,
	send func(typeURL string, first bool, nonce, version string) error,
	receive func() (typeURL, nonce, version string, response proto.Message, err error),
) {
	for _, typeURL := range []string{resource.ClusterType, resource.EndpointType, resource.RouteType} {
		if err == nil {
			err = send(typeURL, true, "", "")
		}
	}
	for err == nil {
		var typeURL, nonce, version string
		var response proto.Message
		typeURL, nonce, version, response, err = receive()
		if err != nil {
			break
		}
		p.bytes.Add(int64(proto.Size(response)))
		err = send(typeURL, false, nonce, version)
		if p.open[typeURL] {
			delete(p.open, typeURL)
			if len(p.open) == 0 {
				p.has()
			}
		}
	}
	log.Fatalf("%s: %v", p.id, err)
}
