package api

import "slices"

// routes is the table of the HTTP surface: a row a route, a line a field. Its parts stand in the files routes_*.go, by what they are about.
var routes = slices.Concat(workflowsRoutes, runsRoutes, schedulesRoutes, workersRoutes, accessRoutes, daemonRoutes)

func init() { // it shows the table that it stands in
	routes = append(routes, route{
		Method:  "GET",
		Path:    "/openapi.json",
		ID:      "openAPI",
		Scope:   scopePublic,
		Tag:     "daemon",
		Summary: "This document",
		Free:    true,
		Answers: []answer{
			{200, anyJSON{}, ""},
		},
		handle: (*Server).openAPI,
	})
}
