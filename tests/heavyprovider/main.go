// A provider for tests and benchmarks: as heavy as the large ones where it is asked to be.
//
// HEAVY_SCHEMA is how many megabytes its schema has, HEAVY_START how long it takes to start, and HEAVY_API how long its
// API takes to answer; the last two are durations such as 2s. Its resource has sensitive values in every place where a
// schema can have them.
package main

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

const address = "registry.opentofu.org/example/heavy"

func main() {
	pause("HEAVY_START")
	server := func() tfprotov6.ProviderServer { return &provider{} }
	if err := tf6server.Serve(address, server); err != nil {
		panic(err)
	}
}

func pause(variable string) {
	if length, err := time.ParseDuration(os.Getenv(variable)); err == nil {
		time.Sleep(length)
	}
}

// What is not implemented is not called for the resource and the data source below.
type provider struct{ tfprotov6.ProviderServer }

func optional(name string, kind tftypes.Type) *tfprotov6.SchemaAttribute {
	return &tfprotov6.SchemaAttribute{Name: name, Type: kind, Optional: true}
}

func secret(name string) *tfprotov6.SchemaAttribute {
	return &tfprotov6.SchemaAttribute{Name: name, Type: tftypes.String, Optional: true, Sensitive: true}
}

func computed(name string, sensitive bool) *tfprotov6.SchemaAttribute {
	return &tfprotov6.SchemaAttribute{Name: name, Type: tftypes.String, Computed: true, Sensitive: sensitive}
}

func nested(name string, mode tfprotov6.SchemaObjectNestingMode) *tfprotov6.SchemaAttribute {
	object := &tfprotov6.SchemaObject{Nesting: mode, Attributes: []*tfprotov6.SchemaAttribute{
		optional("key", tftypes.String), secret("value"), optional("number", tftypes.Number),
	}}
	return &tfprotov6.SchemaAttribute{Name: name, NestedType: object, Optional: true}
}

func block(name string, mode tfprotov6.SchemaNestedBlockNestingMode) *tfprotov6.SchemaNestedBlock {
	inner := &tfprotov6.SchemaBlock{
		Attributes: []*tfprotov6.SchemaAttribute{
			optional("port", tftypes.Number), secret("password"), optional("any", tftypes.String),
		},
	}
	return &tfprotov6.SchemaNestedBlock{TypeName: name, Nesting: mode, Block: inner}
}

func thing() *tfprotov6.Schema {
	return &tfprotov6.Schema{Version: 1, Block: &tfprotov6.SchemaBlock{
		Attributes: []*tfprotov6.SchemaAttribute{
			computed("id", false), computed("token", true), optional("name", tftypes.String), secret("password"),
			optional("number", tftypes.Number), optional("tags", tftypes.Map{ElementType: tftypes.String}),
			optional("names", tftypes.Set{ElementType: tftypes.String}),
			optional("anything", tftypes.DynamicPseudoType),
			{Name: "passwords", Type: tftypes.List{ElementType: tftypes.String}, Optional: true, Sensitive: true},
			nested("one", tfprotov6.SchemaObjectNestingModeSingle), nested("several", tfprotov6.SchemaObjectNestingModeList),
			nested("some", tfprotov6.SchemaObjectNestingModeSet), nested("named", tfprotov6.SchemaObjectNestingModeMap),
		},
		BlockTypes: []*tfprotov6.SchemaNestedBlock{
			block("rule", tfprotov6.SchemaNestedBlockNestingModeSet),
			block("step", tfprotov6.SchemaNestedBlockNestingModeList),
			block("only", tfprotov6.SchemaNestedBlockNestingModeSingle),
		},
	}}
}

func found() *tfprotov6.Schema {
	return &tfprotov6.Schema{Block: &tfprotov6.SchemaBlock{Attributes: []*tfprotov6.SchemaAttribute{
		optional("name", tftypes.String), computed("value", false), computed("token", true),
	}}}
}

func (*provider) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	return &tfprotov6.GetMetadataResponse{}, nil
}

func (*provider) GetProviderSchema(
	context.Context, *tfprotov6.GetProviderSchemaRequest,
) (*tfprotov6.GetProviderSchemaResponse, error) {
	resources := map[string]*tfprotov6.Schema{"heavy_thing": thing()}
	const kilobytes = 100
	megabytes, _ := strconv.Atoi(os.Getenv("HEAVY_SCHEMA"))
	for number := 0; number < megabytes*1024/kilobytes; number++ {
		attributes := make([]*tfprotov6.SchemaAttribute, 0, kilobytes)
		for position := 0; position < kilobytes; position++ {
			attribute := optional("attribute_"+strconv.Itoa(position), tftypes.String)
			attribute.Description = strings.Repeat("What it is for. ", 60)
			attributes = append(attributes, attribute)
		}
		resources["heavy_thing_"+strconv.Itoa(number)] = &tfprotov6.Schema{
			Block: &tfprotov6.SchemaBlock{Attributes: attributes},
		}
	}
	return &tfprotov6.GetProviderSchemaResponse{
		Provider:        &tfprotov6.Schema{Block: &tfprotov6.SchemaBlock{}},
		ResourceSchemas: resources, DataSourceSchemas: map[string]*tfprotov6.Schema{"heavy_found": found()},
		ServerCapabilities: &tfprotov6.ServerCapabilities{PlanDestroy: true},
	}, nil
}

func (*provider) GetResourceIdentitySchemas(
	context.Context, *tfprotov6.GetResourceIdentitySchemasRequest,
) (*tfprotov6.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov6.GetResourceIdentitySchemasResponse{}, nil
}

func (*provider) ValidateProviderConfig(
	_ context.Context, request *tfprotov6.ValidateProviderConfigRequest,
) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: request.Config}, nil
}

func (*provider) ConfigureProvider(
	context.Context, *tfprotov6.ConfigureProviderRequest,
) (*tfprotov6.ConfigureProviderResponse, error) {
	pause("HEAVY_API")
	return &tfprotov6.ConfigureProviderResponse{}, nil
}

func (*provider) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}

func (*provider) ValidateResourceConfig(
	context.Context, *tfprotov6.ValidateResourceConfigRequest,
) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return &tfprotov6.ValidateResourceConfigResponse{}, nil
}

func (*provider) ValidateDataResourceConfig(
	context.Context, *tfprotov6.ValidateDataResourceConfigRequest,
) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return &tfprotov6.ValidateDataResourceConfigResponse{}, nil
}

func (*provider) UpgradeResourceState(
	_ context.Context, request *tfprotov6.UpgradeResourceStateRequest,
) (*tfprotov6.UpgradeResourceStateResponse, error) {
	kind := thing().ValueType()
	value, err := request.RawState.UnmarshalWithOpts(kind, tfprotov6.UnmarshalOpts{})
	if err != nil {
		return nil, err
	}
	state, err := tfprotov6.NewDynamicValue(kind, value)
	return &tfprotov6.UpgradeResourceStateResponse{UpgradedState: &state}, err
}

// The file named by HEAVY_DRIFT has the name that things have got meanwhile.
func (*provider) ReadResource(
	_ context.Context, request *tfprotov6.ReadResourceRequest,
) (*tfprotov6.ReadResourceResponse, error) {
	name, err := os.ReadFile(os.Getenv("HEAVY_DRIFT"))
	if err != nil {
		return &tfprotov6.ReadResourceResponse{NewState: request.CurrentState}, nil
	}
	state, err := with(request.CurrentState, map[string]tftypes.Value{
		"name": tftypes.NewValue(tftypes.String, strings.TrimSpace(string(name))),
	})
	return &tfprotov6.ReadResourceResponse{NewState: state}, err
}

func (*provider) PlanResourceChange(
	_ context.Context, request *tfprotov6.PlanResourceChangeRequest,
) (*tfprotov6.PlanResourceChangeResponse, error) {
	prior, err := request.PriorState.Unmarshal(thing().ValueType())
	if err != nil || !prior.IsNull() {
		return &tfprotov6.PlanResourceChangeResponse{PlannedState: request.ProposedNewState}, err
	}
	unknown := tftypes.NewValue(tftypes.String, tftypes.UnknownValue)
	state, err := with(request.ProposedNewState, map[string]tftypes.Value{"id": unknown, "token": unknown})
	return &tfprotov6.PlanResourceChangeResponse{PlannedState: state}, err
}

func (*provider) ApplyResourceChange(
	_ context.Context, request *tfprotov6.ApplyResourceChangeRequest,
) (*tfprotov6.ApplyResourceChangeResponse, error) {
	prior, err := request.PriorState.Unmarshal(thing().ValueType())
	if err != nil || !prior.IsNull() {
		return &tfprotov6.ApplyResourceChangeResponse{NewState: request.PlannedState}, err
	}
	state, err := with(request.PlannedState, map[string]tftypes.Value{
		"id": tftypes.NewValue(tftypes.String, "thing-1"), "token": tftypes.NewValue(tftypes.String, "token-of-thing-1"),
	})
	return &tfprotov6.ApplyResourceChangeResponse{NewState: state}, err
}

func (*provider) ReadDataSource(
	_ context.Context, request *tfprotov6.ReadDataSourceRequest,
) (*tfprotov6.ReadDataSourceResponse, error) {
	kind := found().ValueType()
	config, err := request.Config.Unmarshal(kind)
	if err != nil {
		return nil, err
	}
	values := map[string]tftypes.Value{}
	if err := config.As(&values); err != nil {
		return nil, err
	}
	values["value"] = tftypes.NewValue(tftypes.String, "found")
	values["token"] = tftypes.NewValue(tftypes.String, "token-of-found")
	state, err := tfprotov6.NewDynamicValue(kind, tftypes.NewValue(kind, values))
	return &tfprotov6.ReadDataSourceResponse{State: &state}, err
}

// A thing with other values for some attributes.
func with(state *tfprotov6.DynamicValue, changed map[string]tftypes.Value) (*tfprotov6.DynamicValue, error) {
	kind := thing().ValueType()
	before, err := state.Unmarshal(kind)
	if err != nil {
		return nil, err
	}
	if before.IsNull() {
		return state, nil
	}
	values := map[string]tftypes.Value{}
	if err := before.As(&values); err != nil {
		return nil, err
	}
	for name, value := range changed {
		values[name] = value
	}
	after, err := tfprotov6.NewDynamicValue(kind, tftypes.NewValue(kind, values))
	return &after, err
}
