package api

import "github.com/agnt5/agnt5d/model"

// The routes of access tokens and sessions.
var accessRoutes = []route{
	{
		Method:  "GET",
		Path:    "/v1/tokens",
		ID:      "listTokens",
		Scope:   scopeAdmin,
		Tag:     "access",
		Summary: "List access tokens, also those that are not valid any more",
		Answers: []answer{
			{200, tokenList{}, ""},
		},
		Codes:  []string{"not_found"},
		handle: (*Server).listTokens,
	},
	{
		Method:  "POST",
		Path:    "/v1/tokens",
		ID:      "createToken",
		Scope:   scopeAdmin,
		Tag:     "access",
		Summary: "Make an access token; its text is given out this once",
		Body:    tokenBody{},
		Limit:   maxEnvelope,
		Answers: []answer{
			{201, model.Token{}, "the token"},
		},
		Codes:  []string{"not_found", "token_exists", "admin_token_first", "disk_full"},
		handle: (*Server).createToken,
	},
	{
		Method:  "DELETE",
		Path:    "/v1/tokens/{name}",
		ID:      "revokeToken",
		Scope:   scopeAdmin,
		Tag:     "access",
		Summary: "Revoke an access token, now or before",
		Answers: []answer{
			{204, nil, "it is worth nothing any more"},
			{200, revoked{}, "neither is it, and no admin token is left: the hint says what to do"},
		},
		Codes:  []string{"not_found", "token_not_found", "disk_full"},
		handle: (*Server).revokeToken,
	},
	{
		Method:  "GET",
		Path:    "/v1/session",
		ID:      "whoAmI",
		Scope:   scopePublic,
		Tag:     "access",
		Summary: "Under which name and scope requests are taken",
		Answers: []answer{
			{200, sessionInfo{}, ""},
		},
		Codes:  []string{"unauthorized"},
		handle: (*Server).whoAmI,
	},
	{
		Method:  "POST",
		Path:    "/v1/session",
		ID:      "login",
		Scope:   scopePublic,
		Tag:     "access",
		Summary: "Change an access token for a browser's session: a cookie that no script can read",
		Body:    loginBody{},
		Limit:   maxEnvelope,
		Answers: []answer{
			{204, nil, "the cookie is set"},
		},
		Codes:  []string{"not_found", "unauthorized"},
		handle: (*Server).login,
	},
	{
		Method:  "DELETE",
		Path:    "/v1/session",
		ID:      "logout",
		Scope:   scopePublic,
		Tag:     "access",
		Summary: "End a browser's session",
		Answers: []answer{
			{204, nil, "it is over"},
		},
		handle: (*Server).logout,
	},
}
