# CloudFront in front of hlsorigin, for the app live.
#
# Printed from the server's configuration by `hlsorigin cloudfront -format terraform`: print it again when the
# configuration changes. docs/cloudfront.md says why each value is what it is.
terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "name" {
  description = "Of what is made here; two stacks in one account need two."
  type        = string
  default     = "hlsorigin-live"
}

variable "origin_domain" {
  description = "Host name of the origin as CloudFront reaches it. No address."
  type        = string
}

variable "create_bucket" {
  description = "Whether the bucket is made here, in the provider's region. Otherwise it is there already."
  type        = bool
  default     = false
}

data "aws_partition" "current" {}

resource "aws_cloudfront_distribution" "live" {
  enabled         = true
  comment         = "hlsorigin, app live"
  http_version    = "http2and3"
  is_ipv6_enabled = true
  price_class     = "PriceClass_All"

  viewer_certificate {
    cloudfront_default_certificate = true
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  origin {
    origin_id   = "Origin"
    domain_name = var.origin_domain
    # Invisible to viewers: /streams/cam.m3u8 asks the server for /live/streams/cam.m3u8.
    origin_path = "/live"
    # A server that is away is known to be after 2 s instead of CloudFront's usual 30.
    connection_timeout  = 1
    connection_attempts = 2

    custom_origin_config {
      origin_protocol_policy = "https-only"
      https_port             = 443
      http_port              = 8080 # unused: the provider wants one
      origin_ssl_protocols   = ["TLSv1.2"]
      # Longer than the server holds a request for a stream that is just beginning.
      origin_read_timeout = 26
      # Shorter than the server's http.idle_timeout, so that CloudFront is never the one to find a connection closed.
      origin_keepalive_timeout = 60
    }
  }

  origin {
    origin_id   = "Bucket"
    domain_name = "recordings.s3.us-east-1.${data.aws_partition.current.dns_suffix}"
    # The bucket's keys are the server's paths.
    origin_path              = "/live"
    connection_timeout       = 1
    connection_attempts      = 2
    origin_access_control_id = aws_cloudfront_origin_access_control.bucket.id
  }

  origin {
    origin_id   = "Packages"
    domain_name = "recordings.s3.us-east-1.${data.aws_partition.current.dns_suffix}"
    # Packages that jobs have made of files lie in the bucket alone.
    origin_path              = "/live"
    connection_timeout       = 1
    connection_attempts      = 2
    origin_access_control_id = aws_cloudfront_origin_access_control.bucket.id
  }

  # Playlists come from the bucket only where the server fails. On a 404 the bucket would bring yesterday's show.
  origin_group {
    origin_id = "PlaylistsOrBucket"
    failover_criteria {
      status_codes = [500, 502, 503, 504]
    }
    member {
      origin_id = "Origin"
    }
    member {
      origin_id = "Bucket"
    }
  }

  # The name of a segment is never used twice: what the server no longer has, the bucket may give.
  origin_group {
    origin_id = "SegmentsOrBucket"
    failover_criteria {
      status_codes = [403, 404, 500, 502, 503, 504]
    }
    member {
      origin_id = "Origin"
    }
    member {
      origin_id = "Bucket"
    }
  }

  # Packages: playlists are fresh within 30 s, everything else is kept for a year.
  ordered_cache_behavior {
    path_pattern               = "films/*.m3u8"
    target_origin_id           = "Packages"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD", "OPTIONS"]
    compress                   = true
    cache_policy_id            = aws_cloudfront_cache_policy.packages.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.cors.id
  }
  ordered_cache_behavior {
    path_pattern               = "films/*.mpd"
    target_origin_id           = "Packages"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD", "OPTIONS"]
    compress                   = true
    cache_policy_id            = aws_cloudfront_cache_policy.packages.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.cors.id
  }
  ordered_cache_behavior {
    path_pattern               = "films/*"
    target_origin_id           = "Packages"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD", "OPTIONS"]
    compress                   = false
    cache_policy_id            = aws_cloudfront_cache_policy.segments.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.cors.id
  }

  ordered_cache_behavior {
    path_pattern           = "*.m3u8"
    target_origin_id       = "PlaylistsOrBucket"
    viewer_protocol_policy = "redirect-to-https"
    allowed_methods        = ["GET", "HEAD", "OPTIONS"]
    cached_methods         = ["GET", "HEAD", "OPTIONS"]
    # The server compresses its playlists itself; this is for what comes from a bucket.
    compress                   = true
    cache_policy_id            = aws_cloudfront_cache_policy.playlists.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.cors.id
  }

  ordered_cache_behavior {
    path_pattern               = "*.ts"
    target_origin_id           = "SegmentsOrBucket"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD", "OPTIONS"]
    compress                   = false
    cache_policy_id            = aws_cloudfront_cache_policy.segments.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.cors.id
  }

  ordered_cache_behavior {
    # CMAF and DASH are made when they are asked for: the bucket has none.
    path_pattern               = "*.mpd"
    target_origin_id           = "Origin"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD", "OPTIONS"]
    compress                   = false
    cache_policy_id            = aws_cloudfront_cache_policy.playlists.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.cors.id
  }

  ordered_cache_behavior {
    path_pattern               = "*.m4s"
    target_origin_id           = "Origin"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD", "OPTIONS"]
    compress                   = false
    cache_policy_id            = aws_cloudfront_cache_policy.segments.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.cors.id
  }

  ordered_cache_behavior {
    path_pattern               = "*.mp4"
    target_origin_id           = "Origin"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD", "OPTIONS"]
    compress                   = false
    cache_policy_id            = aws_cloudfront_cache_policy.segments.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.cors.id
  }

  # Nothing else is served: the server's 404 is all there is to cache.
  default_cache_behavior {
    target_origin_id           = "Origin"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD", "OPTIONS"]
    compress                   = false
    cache_policy_id            = aws_cloudfront_cache_policy.segments.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.cors.id
  }

  # How long an error stays at least; where the server says longer, longer. Without these blocks it is 10 s.
  custom_error_response {
    # a bad query is as bad 10 s later
    error_code            = 400
    error_caching_min_ttl = 10
  }
  custom_error_response {
    # heals when the secret, or the bucket's policy, has reached everybody
    error_code            = 403
    error_caching_min_ttl = 1
  }
  custom_error_response {
    # a stream that has not begun: its viewers see the start within 3 s
    error_code            = 404
    error_caching_min_ttl = 3
  }
  custom_error_response {
    # the request's own fault
    error_code            = 405
    error_caching_min_ttl = 10
  }
  custom_error_response {
    # the request's own fault
    error_code            = 414
    error_caching_min_ttl = 10
  }
  custom_error_response {
    # where a copy is in the cache, it is shown meanwhile
    error_code            = 500
    error_caching_min_ttl = 1
  }
  custom_error_response {
    # the same
    error_code            = 502
    error_caching_min_ttl = 1
  }
  custom_error_response {
    # the same: the origin is overloaded, and one request a second and edge does not add to it
    error_code            = 503
    error_caching_min_ttl = 1
  }
  custom_error_response {
    # the same
    error_code            = 504
    error_caching_min_ttl = 1
  }
}

# The server names the age of every answer, and these limits let it have its way.
resource "aws_cloudfront_cache_policy" "playlists" {
  name    = "${var.name}-playlists"
  comment = "Ages as the origin says"
  min_ttl = 0
  # For a playlist without an age, which the server never sends: half of the target duration of 7 s.
  default_ttl = 3
  # Live playlists say 3 s, finished ones up to 3600.
  max_ttl = 3600

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_gzip   = true
    enable_accept_encoding_brotli = false
    cookies_config {
      cookie_behavior = "none"
    }
    headers_config {
      header_behavior = "none"
    }
    # Time-shift and manifest filter. Any other parameter would only split the cache.
    query_strings_config {
      query_string_behavior = "whitelist"
      query_strings {
        items = ["start", "end", "time_delay", "aws.manifestfilter"]
      }
    }
  }
}

resource "aws_cloudfront_cache_policy" "segments" {
  name        = "${var.name}-segments"
  comment     = "Segments never change"
  min_ttl     = 0
  default_ttl = 31536000
  max_ttl     = 31536000

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_gzip   = false
    enable_accept_encoding_brotli = false
    cookies_config {
      cookie_behavior = "none"
    }
    headers_config {
      header_behavior = "none"
    }
    query_strings_config {
      query_string_behavior = "none"
    }
  }
}

resource "aws_cloudfront_cache_policy" "packages" {
  name        = "${var.name}-packages"
  comment     = "Playlists of packages"
  min_ttl     = 0
  default_ttl = 10
  max_ttl     = 30

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_gzip   = true
    enable_accept_encoding_brotli = false
    cookies_config {
      cookie_behavior = "none"
    }
    headers_config {
      header_behavior = "none"
    }
    query_strings_config {
      query_string_behavior = "none"
    }
  }
}

# CloudFront answers for CORS itself, so that the Origin field needs no place in the cache key and the bucket's copies are like
# the server's.
resource "aws_cloudfront_response_headers_policy" "cors" {
  name = "${var.name}-cors"

  cors_config {
    origin_override                  = true
    access_control_allow_credentials = false
    access_control_max_age_sec       = 86400
    access_control_allow_origins {
      items = ["*"]
    }
    access_control_allow_methods {
      items = ["GET", "HEAD", "OPTIONS"]
    }
    access_control_allow_headers {
      items = ["Range", "If-Range", "If-None-Match", "If-Modified-Since", "Cache-Control"]
    }
    access_control_expose_headers {
      items = ["Content-Length", "Content-Range", "Date", "Age", "ETag"]
    }
  }
}

resource "aws_cloudfront_origin_access_control" "bucket" {
  name                              = "${var.name}-bucket"
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

resource "aws_s3_bucket" "recordings" {
  count  = var.create_bucket ? 1 : 0
  bucket = "recordings"

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_ownership_controls" "recordings" {
  count  = var.create_bucket ? 1 : 0
  bucket = aws_s3_bucket.recordings[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "recordings" {
  count                   = var.create_bucket ? 1 : 0
  bucket                  = aws_s3_bucket.recordings[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "recordings" {
  count  = var.create_bucket ? 1 : 0
  bucket = aws_s3_bucket.recordings[0].id

  # The server uploads every object whole; what other tools left half done costs money unseen.
  rule {
    id     = "abort-incomplete-uploads"
    status = "Enabled"
    filter {
      prefix = ""
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

data "aws_iam_policy_document" "cloudfront" {
  statement {
    sid       = "CloudFrontReads"
    actions   = ["s3:GetObject"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::recordings/live/*", "arn:${data.aws_partition.current.partition}:s3:::recordings/live/films/*"]
    principals {
      type        = "Service"
      identifiers = ["cloudfront.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "AWS:SourceArn"
      values   = [aws_cloudfront_distribution.live.arn]
    }
  }

  # Without it a missing object is 403, not 404. It lists nothing: with an Origin Path every request names an object.
  statement {
    sid       = "CloudFrontLearnsWhatIsMissing"
    actions   = ["s3:ListBucket"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::recordings"]
    principals {
      type        = "Service"
      identifiers = ["cloudfront.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "AWS:SourceArn"
      values   = [aws_cloudfront_distribution.live.arn]
    }
  }
}

# A bucket has one policy, and Terraform puts this one in the place of any other. Where yours has one already, merge the
# statements above into it and delete this resource.
resource "aws_s3_bucket_policy" "cloudfront" {
  bucket = var.create_bucket ? aws_s3_bucket.recordings[0].id : "recordings"
  policy = data.aws_iam_policy_document.cloudfront.json
}

# All that the server may do, for its role or its user.
data "aws_iam_policy_document" "uploader" {
  statement {
    sid       = "Recordings"
    actions   = ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::recordings/*"]
  }

  statement {
    sid       = "Listing"
    actions   = ["s3:ListBucket"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::recordings"]
  }
}

resource "aws_iam_policy" "uploader" {
  name        = "${var.name}-uploader"
  description = "What hlsorigin needs of its bucket"
  policy      = data.aws_iam_policy_document.uploader.json
}

output "domain_name" {
  description = "Viewers ask https://{this}/streams/{stream}.m3u8"
  value       = aws_cloudfront_distribution.live.domain_name
}

output "distribution_id" {
  value = aws_cloudfront_distribution.live.id
}

output "uploader_policy" {
  description = "To be attached to the server's role or user"
  value       = aws_iam_policy.uploader.arn
}
