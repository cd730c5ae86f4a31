// Stands for `re2`, which gitlab-ci-local takes for the patterns of rules: a native module that takes minutes to compile.
// It guards servers against patterns that never end; for the patterns of these pipelines JavaScript's own are the same.
module.exports = RegExp;
