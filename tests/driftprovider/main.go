// A provider whose API is a folder: an object is a file of JSON, which a test changes as a person would in a console.
//
// Its resource has an attribute of every kind that a schema can have. What the API adds by itself are `etag`,
// `updated_by` and `modified_time`, and `size` where it is not set. `policy` is compared as JSON and `tier` without
// case. A file with the key `error` makes the API fail for that object. Version 2 has an attribute more.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

const address = "example.test/example/own"

func main() {
	server := func() tfprotov6.ProviderServer { return &provider{} }
	if err := tf6server.Serve(address, server); err != nil {
		panic(err)
	}
}

// What is not implemented is not called for the resource and the data source below.
type provider struct {
	tfprotov6.ProviderServer
	folder string
}

func second() bool { return strings.Contains(filepath.Base(os.Args[0]), "_v2") }

func optional(name string, kind tftypes.Type) *tfprotov6.SchemaAttribute {
	return &tfprotov6.SchemaAttribute{Name: name, Type: kind, Optional: true}
}

func computed(name string, sensitive bool) *tfprotov6.SchemaAttribute {
	return &tfprotov6.SchemaAttribute{Name: name, Type: tftypes.String, Computed: true, Sensitive: sensitive}
}

func nested(name string, mode tfprotov6.SchemaObjectNestingMode) *tfprotov6.SchemaAttribute {
	object := &tfprotov6.SchemaObject{Nesting: mode, Attributes: []*tfprotov6.SchemaAttribute{
		optional("key", tftypes.String), optional("number", tftypes.Number),
		{Name: "value", Type: tftypes.String, Optional: true, Sensitive: true},
	}}
	return &tfprotov6.SchemaAttribute{Name: name, NestedType: object, Optional: true}
}

func block(name string, mode tfprotov6.SchemaNestedBlockNestingMode) *tfprotov6.SchemaNestedBlock {
	inner := &tfprotov6.SchemaBlock{Attributes: []*tfprotov6.SchemaAttribute{
		optional("port", tftypes.Number), optional("any", tftypes.String),
	}}
	return &tfprotov6.SchemaNestedBlock{TypeName: name, Nesting: mode, Block: inner}
}

func thing() *tfprotov6.Schema {
	object := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"a": tftypes.String, "b": tftypes.Number}}
	schema := &tfprotov6.Schema{Block: &tfprotov6.SchemaBlock{
		Attributes: []*tfprotov6.SchemaAttribute{
			{Name: "name", Type: tftypes.String, Required: true},
			optional("text", tftypes.String), optional("number", tftypes.Number), optional("flag", tftypes.Bool),
			optional("list", tftypes.List{ElementType: tftypes.String}),
			optional("set", tftypes.Set{ElementType: tftypes.String}),
			optional("tags", tftypes.Map{ElementType: tftypes.String}), optional("object", object),
			optional("policy", tftypes.String), optional("tier", tftypes.String),
			{Name: "secret", Type: tftypes.String, Optional: true, Sensitive: true},
			{Name: "password", Type: tftypes.String, Optional: true, WriteOnly: true},
			optional("password_version", tftypes.Number),
			{Name: "size", Type: tftypes.String, Optional: true, Computed: true},
			nested("one", tfprotov6.SchemaObjectNestingModeSingle), nested("several", tfprotov6.SchemaObjectNestingModeList),
			nested("some", tfprotov6.SchemaObjectNestingModeSet), nested("named", tfprotov6.SchemaObjectNestingModeMap),
			computed("id", false), computed("etag", false), computed("updated_by", false),
			computed("modified_time", false), computed("token", true),
		},
		BlockTypes: []*tfprotov6.SchemaNestedBlock{
			block("rule", tfprotov6.SchemaNestedBlockNestingModeSet),
			block("step", tfprotov6.SchemaNestedBlockNestingModeList),
			block("only", tfprotov6.SchemaNestedBlockNestingModeSingle),
			{TypeName: "timeouts", Nesting: tfprotov6.SchemaNestedBlockNestingModeSingle, Block: &tfprotov6.SchemaBlock{
				Attributes: []*tfprotov6.SchemaAttribute{optional("create", tftypes.String)},
			}},
		},
	}}
	if second() {
		schema.Version = 1
		schema.Block.Attributes = append(schema.Block.Attributes, computed("zone", false))
	}
	return schema
}

func lookup() *tfprotov6.Schema {
	return &tfprotov6.Schema{Block: &tfprotov6.SchemaBlock{Attributes: []*tfprotov6.SchemaAttribute{
		{Name: "name", Type: tftypes.String, Required: true}, computed("text", false), computed("modified_time", false),
	}}}
}

func settings() *tfprotov6.Schema {
	return &tfprotov6.Schema{Block: &tfprotov6.SchemaBlock{Attributes: []*tfprotov6.SchemaAttribute{
		{Name: "folder", Type: tftypes.String, Required: true},
	}}}
}

func (*provider) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	return &tfprotov6.GetMetadataResponse{}, nil
}

func (*provider) GetProviderSchema(
	context.Context, *tfprotov6.GetProviderSchemaRequest,
) (*tfprotov6.GetProviderSchemaResponse, error) {
	return &tfprotov6.GetProviderSchemaResponse{
		Provider:          settings(),
		ResourceSchemas:   map[string]*tfprotov6.Schema{"own_thing": thing()},
		DataSourceSchemas: map[string]*tfprotov6.Schema{"own_thing": lookup()},
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

func (own *provider) ConfigureProvider(
	_ context.Context, request *tfprotov6.ConfigureProviderRequest,
) (*tfprotov6.ConfigureProviderResponse, error) {
	values, err := attributes(request.Config, settings().ValueType())
	if err == nil {
		own.folder = text(values["folder"])
	}
	return &tfprotov6.ConfigureProviderResponse{}, err
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
	options := tfprotov6.UnmarshalOpts{ValueFromJSONOpts: tftypes.ValueFromJSONOpts{IgnoreUndefinedAttributes: true}}
	value, err := request.RawState.UnmarshalWithOpts(kind, options)
	if err != nil {
		return nil, err
	}
	state, err := tfprotov6.NewDynamicValue(kind, value)
	return &tfprotov6.UpgradeResourceStateResponse{UpgradedState: &state}, err
}

func (own *provider) ReadResource(
	_ context.Context, request *tfprotov6.ReadResourceRequest,
) (*tfprotov6.ReadResourceResponse, error) {
	kind := thing().ValueType()
	now, err := attributes(request.CurrentState, kind)
	if err != nil || now == nil {
		return &tfprotov6.ReadResourceResponse{NewState: request.CurrentState}, err
	}
	found, err := own.load(text(now["id"]), kind)
	if errors.Is(err, os.ErrNotExist) {
		gone, err := tfprotov6.NewDynamicValue(kind, tftypes.NewValue(kind, nil))
		return &tfprotov6.ReadResourceResponse{NewState: &gone}, err
	}
	if err != nil {
		return &tfprotov6.ReadResourceResponse{Diagnostics: failed(err)}, nil
	}
	found["timeouts"] = now["timeouts"] // the API does not know them
	state, err := tfprotov6.NewDynamicValue(kind, tftypes.NewValue(kind, found))
	return &tfprotov6.ReadResourceResponse{NewState: &state}, err
}

func (*provider) PlanResourceChange(
	_ context.Context, request *tfprotov6.PlanResourceChangeRequest,
) (*tfprotov6.PlanResourceChangeResponse, error) {
	kind := thing().ValueType()
	before, err := attributes(request.PriorState, kind)
	after, failure := attributes(request.ProposedNewState, kind)
	if err = errors.Join(err, failure); err != nil || after == nil {
		return &tfprotov6.PlanResourceChangeResponse{PlannedState: request.ProposedNewState}, err
	}
	response := &tfprotov6.PlanResourceChangeResponse{}
	if before != nil {
		if equal(before["policy"], after["policy"], sameJSON) {
			after["policy"] = before["policy"]
		}
		if equal(before["tier"], after["tier"], strings.EqualFold) {
			after["tier"] = before["tier"]
		}
		if !before["name"].Equal(after["name"]) {
			response.RequiresReplace = []*tftypes.AttributePath{tftypes.NewAttributePath().WithAttributeName("name")}
		}
	}
	after["password"] = tftypes.NewValue(tftypes.String, nil)
	if before == nil || !tftypes.NewValue(kind, before).Equal(tftypes.NewValue(kind, after)) {
		names := []string{"etag", "updated_by", "modified_time"}
		if before == nil {
			names = append(names, "id", "token")
			if after["size"].IsNull() {
				names = append(names, "size")
			}
			if second() {
				names = append(names, "zone")
			}
		}
		for _, name := range names {
			after[name] = tftypes.NewValue(tftypes.String, tftypes.UnknownValue)
		}
	}
	state, err := tfprotov6.NewDynamicValue(kind, tftypes.NewValue(kind, after))
	response.PlannedState = &state
	return response, err
}

func (own *provider) ApplyResourceChange(
	_ context.Context, request *tfprotov6.ApplyResourceChangeRequest,
) (*tfprotov6.ApplyResourceChangeResponse, error) {
	kind := thing().ValueType()
	before, err := attributes(request.PriorState, kind)
	after, failure := attributes(request.PlannedState, kind)
	if err = errors.Join(err, failure); err != nil {
		return nil, err
	}
	if after == nil {
		err := os.Remove(own.file(text(before["id"])))
		return &tfprotov6.ApplyResourceChangeResponse{NewState: request.PlannedState}, err
	}
	given := map[string]string{
		"id": text(after["name"]), "etag": "1", "updated_by": "deployer", "token": "token-of-" + text(after["name"]),
		"modified_time": "2026-01-01T00:00:00Z", "size": "small", "zone": "z1",
	}
	for name, value := range given {
		if now, is := after[name]; is && !now.IsKnown() {
			after[name] = tftypes.NewValue(tftypes.String, value)
		}
	}
	if err := own.save(text(after["id"]), after); err != nil {
		return &tfprotov6.ApplyResourceChangeResponse{Diagnostics: failed(err)}, nil
	}
	state, err := tfprotov6.NewDynamicValue(kind, tftypes.NewValue(kind, after))
	return &tfprotov6.ApplyResourceChangeResponse{NewState: &state}, err
}

func (own *provider) ImportResourceState(
	_ context.Context, request *tfprotov6.ImportResourceStateRequest,
) (*tfprotov6.ImportResourceStateResponse, error) {
	kind := thing().ValueType()
	found, err := own.load(request.ID, kind)
	if err != nil {
		return &tfprotov6.ImportResourceStateResponse{Diagnostics: failed(err)}, nil
	}
	state, err := tfprotov6.NewDynamicValue(kind, tftypes.NewValue(kind, found))
	imported := []*tfprotov6.ImportedResource{{TypeName: request.TypeName, State: &state}}
	return &tfprotov6.ImportResourceStateResponse{ImportedResources: imported}, err
}

func (own *provider) ReadDataSource(
	_ context.Context, request *tfprotov6.ReadDataSourceRequest,
) (*tfprotov6.ReadDataSourceResponse, error) {
	kind := lookup().ValueType()
	values, err := attributes(request.Config, kind)
	if err != nil {
		return nil, err
	}
	found, err := own.load(text(values["name"]), thing().ValueType())
	if err != nil {
		return &tfprotov6.ReadDataSourceResponse{Diagnostics: failed(err)}, nil
	}
	values["text"], values["modified_time"] = found["text"], found["modified_time"]
	state, err := tfprotov6.NewDynamicValue(kind, tftypes.NewValue(kind, values))
	return &tfprotov6.ReadDataSourceResponse{State: &state}, err
}

// The API: a folder of files.

func (own *provider) file(id string) string { return filepath.Join(own.folder, id+".json") }

func (own *provider) load(id string, kind tftypes.Type) (map[string]tftypes.Value, error) {
	content, err := os.ReadFile(own.file(id))
	if err != nil {
		return nil, err
	}
	var said struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(content, &said); err != nil || said.Error != "" {
		return nil, errors.Join(err, errors.New(said.Error))
	}
	state := tfprotov6.RawState{JSON: content}
	options := tfprotov6.UnmarshalOpts{ValueFromJSONOpts: tftypes.ValueFromJSONOpts{IgnoreUndefinedAttributes: true}}
	value, err := state.UnmarshalWithOpts(kind, options)
	if err != nil {
		return nil, err
	}
	values := map[string]tftypes.Value{}
	return values, value.As(&values)
}

func (own *provider) save(id string, values map[string]tftypes.Value) error {
	known := map[string]any{}
	for name, value := range values {
		if name != "password" && name != "timeouts" {
			known[name] = plain(value)
		}
	}
	content, err := json.MarshalIndent(known, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(own.file(id), content, 0o600)
}

// Values.

func attributes(value *tfprotov6.DynamicValue, kind tftypes.Type) (map[string]tftypes.Value, error) {
	whole, err := value.Unmarshal(kind)
	if err != nil || whole.IsNull() {
		return nil, err
	}
	values := map[string]tftypes.Value{}
	return values, whole.As(&values)
}

func text(value tftypes.Value) string {
	found := ""
	_ = value.As(&found)
	return found
}

func plain(value tftypes.Value) any {
	if value.IsNull() {
		return nil
	}
	kind := value.Type()
	switch {
	case kind.Is(tftypes.String):
		return text(value)
	case kind.Is(tftypes.Bool):
		found := false
		_ = value.As(&found)
		return found
	case kind.Is(tftypes.Number):
		found := new(big.Float)
		_ = value.As(&found)
		return json.Number(found.Text('f', -1))
	case kind.Is(tftypes.Object{}), kind.Is(tftypes.Map{}):
		found, items := map[string]tftypes.Value{}, map[string]any{}
		_ = value.As(&found)
		for name, item := range found {
			items[name] = plain(item)
		}
		return items
	}
	found := []tftypes.Value{}
	_ = value.As(&found)
	items := make([]any, len(found))
	for place, item := range found {
		items[place] = plain(item)
	}
	return items
}

func equal(before, after tftypes.Value, same func(string, string) bool) bool {
	return after.IsKnown() && !before.IsNull() && !after.IsNull() && same(text(before), text(after))
}

func sameJSON(one, other string) bool {
	var first, second any
	err := errors.Join(json.Unmarshal([]byte(one), &first), json.Unmarshal([]byte(other), &second))
	return err == nil && reflect.DeepEqual(first, second)
}

func failed(err error) []*tfprotov6.Diagnostic {
	return []*tfprotov6.Diagnostic{{
		Severity: tfprotov6.DiagnosticSeverityError, Summary: "the API refused", Detail: fmt.Sprint(err),
	}}
}
