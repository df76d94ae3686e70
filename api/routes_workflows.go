package api

import (
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/model"
)

// The routes of workflows.
var workflowsRoutes = []route{
	{
		Method:   "PUT",
		Path:     "/v1/workflows/{name}",
		ID:       "putWorkflow",
		Scope:    scopeAdmin,
		Tag:      "workflows",
		Summary:  "Register a definition and make it current",
		Body:     definition{},
		BodyNote: "The definition: JSON if it begins with {, else YAML.",
		Limit:    flow.MaxBytes,
		Types:    []string{"application/yaml"},
		Answers: []answer{
			{201, engine.Version{}, "a new version"},
			{200, engine.Version{}, "the name has had this definition; it is current now"},
		},
		Codes:  []string{"invalid_definition", "payload_too_large", "disk_full"},
		handle: (*Server).putWorkflow,
	},
	{
		Method:  "GET",
		Path:    "/v1/workflows",
		ID:      "listWorkflows",
		Scope:   scopeRead,
		Tag:     "workflows",
		Summary: "List workflows",
		Answers: []answer{
			{200, workflowList{}, ""},
		},
		handle: (*Server).listWorkflows,
	},
	{
		Method:  "GET",
		Path:    "/v1/workflows/{name}",
		ID:      "getWorkflow",
		Scope:   scopeRead,
		Tag:     "workflows",
		Summary: "One workflow, with its definition",
		Query:   []param{{"version", "version", "this version; absent: the current one"}},
		Answers: []answer{
			{200, engine.Workflow{}, ""},
		},
		Codes:  []string{"workflow_not_found"},
		handle: (*Server).getWorkflow,
	},
	{
		Method:  "DELETE",
		Path:    "/v1/workflows/{name}",
		ID:      "deleteWorkflow",
		Scope:   scopeAdmin,
		Tag:     "workflows",
		Summary: "Delete a version of a workflow that no run uses, or the workflow with all of its versions",
		Query:   []param{{"version", "version", "this version, which is not the current one; absent: all of them"}},
		Answers: []answer{
			{204, nil, "gone"},
		},
		Codes:  []string{"workflow_not_found", "workflow_in_use", "version_current", "disk_full"},
		handle: (*Server).deleteWorkflow,
	},
	{
		Method:  "GET",
		Path:    "/v1/workflows/{name}/graph",
		ID:      "workflowGraph",
		Scope:   scopeRead,
		Tag:     "workflows",
		Summary: "A workflow's graph, with a place for each step",
		Query: []param{{"version", "version", "this version; absent: the current one"},
			{"fold", "integer", "with more steps than this, those that are alike become one node; absent: never"}},
		Headers: []string{"If-None-Match"},
		Answers: []answer{
			{200, model.Graph{}, ""},
			{304, nil, "as it was"},
		},
		Codes:  []string{"workflow_not_found", "newer_release"},
		handle: (*Server).workflowGraph,
	},
	{
		Method:  "PUT",
		Path:    "/v1/workflows/{name}/current",
		ID:      "useWorkflow",
		Scope:   scopeAdmin,
		Tag:     "workflows",
		Summary: "Make a version that a workflow has had current again",
		Body:    useBody{},
		Answers: []answer{
			{200, engine.Version{}, "it is current"},
		},
		Codes:  []string{"workflow_not_found", "newer_release", "disk_full"},
		handle: (*Server).useWorkflow,
	},
}
