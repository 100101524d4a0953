// Package cloudfront describes the CDN that belongs in front of the origin: a CloudFormation template or a Terraform configuration in which
// every number follows from the server's own settings. It is a pure function of its Options: it talks to no cloud, reads no file, and
// refuses to write a secret into its output.
package cloudfront
