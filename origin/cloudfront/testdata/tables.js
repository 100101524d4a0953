// Writes terraform.txt and cloudformation.txt: every property that the resources used by the templates have, its type and
// whether it must be there. The sources are two packages of npm, unpacked:
//
//   npm pack @aws-cdk/cfnspec@2.72.1        spec/specification.json, CloudFormation's resource specification 117.0.0
//   npm pack @cdktf/provider-aws@21.22.1    lib/*/index.d.ts, made from the schema of hashicorp/aws 6.25.0
//   node tables.js CFNSPEC_DIR PROVIDER_DIR
const fs = require('fs');
const path = require('path');
const [cfnspec, provider] = process.argv.slice(2);

function write(name, source, lines) {
  const text = '# ' + source + ': path, type, whether it must be there. Made by tables.js.\n' + [...new Set(lines)].sort().join('\n') + '\n';
  fs.writeFileSync(path.join(__dirname, name), text);
}

const spec = JSON.parse(fs.readFileSync(path.join(cfnspec, 'spec/specification.json')));
const rows = [];
function cfn(resource, at, properties) {
  for (const [name, p] of Object.entries(properties)) {
    const here = at + '.' + name;
    const many = p.Type === 'List' || p.Type === 'Map' ? p.Type : '';
    const inner = many ? p.PrimitiveItemType || p.ItemType : p.PrimitiveType || p.Type;
    rows.push([here, (many ? many + ':' : '') + inner, p.Required ? 'required' : 'optional'].join(' '));
    const nested = spec.PropertyTypes[resource + '.' + inner];
    if (nested && nested.Properties && at.split('.').length < 8) cfn(resource, here, nested.Properties);
  }
}
for (const r of ['CloudFront::Distribution', 'CloudFront::CachePolicy', 'CloudFront::ResponseHeadersPolicy', 'CloudFront::OriginAccessControl',
  'CloudFront::PublicKey', 'CloudFront::KeyGroup',
  'S3::BucketPolicy', 'IAM::ManagedPolicy'].map((r) => 'AWS::' + r)) cfn(r, r, spec.ResourceTypes[r].Properties);
const bucket = spec.ResourceTypes['AWS::S3::Bucket'].Properties;
const wanted = ['BucketName', 'LifecycleConfiguration', 'OwnershipControls', 'PublicAccessBlockConfiguration', 'BucketEncryption'];
cfn('AWS::S3::Bucket', 'AWS::S3::Bucket', Object.fromEntries(wanted.map((k) => [k, bucket[k]])));
write('cloudformation.txt', 'CloudFormation resource specification ' + spec.ResourceSpecificationVersion, rows);

const attributes = [];
let version = '';
function terraform(resource, text, at, type) {
  const body = text.match(new RegExp('export interface ' + type + '(?: extends [^{]*)? \\{([\\s\\S]*?)\\n\\}'));
  if (!body) throw new Error(type + ' is not there');
  const field = /docs\/(?:resources|data-sources)\/\w+#(\w+) [^\n]*\n(?:[^;]*?)readonly \w+(\??): ([^;]+);/g;
  for (const [, name, optional, declared] of body[1].matchAll(field)) {
    const first = declared.split(' | ')[0];
    const list = first.endsWith('[]');
    const bare = first.startsWith('{') ? 'map' : first.replace('[]', '');
    const nested = text.includes('export interface ' + bare + ' {');
    const kind = (list ? 'list:' : '') + (nested ? 'block' : bare);
    attributes.push([at + '.' + name, kind, optional ? 'optional' : 'required'].join(' '));
    if (nested) terraform(resource, text, at + '.' + name, bare);
  }
}
for (const r of ['cloudfront_distribution', 'cloudfront_cache_policy', 'cloudfront_response_headers_policy', 'cloudfront_origin_access_control',
  'cloudfront_public_key', 'cloudfront_key_group',
  's3_bucket', 's3_bucket_policy', 's3_bucket_lifecycle_configuration', 's3_bucket_ownership_controls', 's3_bucket_public_access_block',
  'iam_policy', 'data.aws_iam_policy_document', 'data.aws_partition']) {
  const data = r.startsWith('data.aws_');
  const folder = (data ? 'data-' + r.slice(5) : r).replace(/_/g, '-');
  const text = fs.readFileSync(path.join(provider, 'lib', folder, 'index.d.ts'), 'utf8');
  version = text.match(/hashicorp\/aws\/([\d.]+)\//)[1];
  const camel = folder.split('-').map((w) => w[0].toUpperCase() + w.slice(1)).join('');
  terraform(r, text, data ? r : 'aws_' + r, camel + 'Config');
}
write('terraform.txt', 'Terraform provider hashicorp/aws ' + version, attributes);
