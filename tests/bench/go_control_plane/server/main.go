// A control plane on go-control-plane's snapshot cache, to compare with: the same resources for every node.
//
// usage: server SOCKET NODES RESOURCES.json
//
// Prints "ready" once it listens. For each line on its standard input it changes the one route of every node, waits
// until each has acknowledged that, and prints how many seconds it took. It ends with its standard input.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	xds "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

type described struct {
	Clusters  []json.RawMessage
	Endpoints []json.RawMessage
	Route     json.RawMessage
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func read[T proto.Message](text json.RawMessage, message T) T {
	if err := protojson.Unmarshal(text, message); err != nil {
		log.Fatal(err)
	}
	return message
}

func main() {
	socket, nodes := os.Args[1], must(strconv.Atoi(os.Args[2]))
	var wanted described
	if err := json.Unmarshal(must(os.ReadFile(os.Args[3])), &wanted); err != nil {
		log.Fatal(err)
	}
	var clusters, endpoints []types.Resource
	for _, each := range wanted.Clusters {
		clusters = append(clusters, read(each, &cluster.Cluster{}))
	}
	for _, each := range wanted.Endpoints {
		endpoints = append(endpoints, read(each, &endpoint.ClusterLoadAssignment{}))
	}
	template := read(wanted.Route, &route.RouteConfiguration{})

	var awaited atomic.Int64
	everybody := make(chan struct{}, 1)
	answered := func(typeURL, nonce string, refused *status.Status) {
		if typeURL == resource.RouteType && nonce != "" && refused == nil && awaited.Add(-1) == 0 {
			everybody <- struct{}{}
		}
	}
	snapshots := cache.NewSnapshotCache(true, cache.IDHash{}, nil)
	set := func(number int) {
		changed := proto.Clone(template).(*route.RouteConfiguration)
		changed.VirtualHosts[0].Routes[0].Action = &route.Route_DirectResponse{DirectResponse: &route.DirectResponseAction{
			Status: 200,
			Body:   &core.DataSource{Specifier: &core.DataSource_InlineString{InlineString: strconv.Itoa(number)}},
		}}
		for node := range nodes {
			snapshot := must(cache.NewSnapshot(strconv.Itoa(number), map[resource.Type][]types.Resource{
				resource.RouteType: {changed},
			}))
			// What did not change keeps its version, and is not sent again.
			snapshot.Resources[types.Cluster] = cache.NewResources("1", clusters)
			snapshot.Resources[types.Endpoint] = cache.NewResources("1", endpoints)
			if err := snapshots.SetSnapshot(context.Background(), fmt.Sprintf("node-%d", node), snapshot); err != nil {
				log.Fatal(err)
			}
		}
	}
	set(0)

	server := grpc.NewServer()
	discovery.RegisterAggregatedDiscoveryServiceServer(server, xds.NewServer(context.Background(), snapshots, xds.CallbackFuncs{
		StreamRequestFunc: func(_ int64, request *discovery.DiscoveryRequest) error {
			answered(request.TypeUrl, request.ResponseNonce, request.ErrorDetail)
			return nil
		},
		StreamDeltaRequestFunc: func(_ int64, request *discovery.DeltaDiscoveryRequest) error {
			answered(request.TypeUrl, request.ResponseNonce, request.ErrorDetail)
			return nil
		},
	}))
	listener := must(net.Listen("unix", socket))
	go func() { log.Fatal(server.Serve(listener)) }()
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for number := 1; lines.Scan(); number++ {
		awaited.Store(int64(nodes))
		begun := time.Now()
		set(number)
		<-everybody
		fmt.Println(time.Since(begun).Seconds())
	}
}
