// The hashicorp/local provider 1.4.0, whose module cannot be required by the path that it is published under.
package main

import (
	"github.com/hashicorp/terraform-plugin-sdk/plugin"
	"github.com/terraform-providers/terraform-provider-local/local"
)

func main() {
	plugin.Serve(&plugin.ServeOpts{ProviderFunc: local.Provider})
}
