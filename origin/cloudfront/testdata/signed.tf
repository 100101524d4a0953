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
      origin_protocol_policy = "http-only"
      http_port              = 5080
      https_port             = 443         # unused: the provider wants one
      origin_ssl_protocols   = ["TLSv1.2"] # the same
      # Longer than the server holds a request for a stream that is just beginning.
      origin_read_timeout = 30
      # Shorter than the server's http.idle_timeout, so that CloudFront is never the one to find a connection closed.
      origin_keepalive_timeout = 60
    }
  }

  ordered_cache_behavior {
    path_pattern           = "*.m3u8"
    target_origin_id       = "Origin"
    viewer_protocol_policy = "redirect-to-https"
    allowed_methods        = ["GET", "HEAD", "OPTIONS"]
    cached_methods         = ["GET", "HEAD", "OPTIONS"]
    # The server compresses its playlists itself; this is for what comes from a bucket.
    compress                   = true
    cache_policy_id            = aws_cloudfront_cache_policy.playlists.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.cors.id
    trusted_key_groups         = [aws_cloudfront_key_group.signers.id, "b79a7a1c-8c2f-4d0e-9a55-0c6f1f3f2d11"]
  }

  ordered_cache_behavior {
    path_pattern               = "*.ts"
    target_origin_id           = "Origin"
    viewer_protocol_policy     = "redirect-to-https"
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD", "OPTIONS"]
    compress                   = false
    cache_policy_id            = aws_cloudfront_cache_policy.segments.id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.cors.id
    trusted_key_groups         = [aws_cloudfront_key_group.signers.id, "b79a7a1c-8c2f-4d0e-9a55-0c6f1f3f2d11"]
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
    trusted_key_groups         = [aws_cloudfront_key_group.signers.id, "b79a7a1c-8c2f-4d0e-9a55-0c6f1f3f2d11"]
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
    trusted_key_groups         = [aws_cloudfront_key_group.signers.id, "b79a7a1c-8c2f-4d0e-9a55-0c6f1f3f2d11"]
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
    trusted_key_groups         = [aws_cloudfront_key_group.signers.id, "b79a7a1c-8c2f-4d0e-9a55-0c6f1f3f2d11"]
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
    trusted_key_groups         = [aws_cloudfront_key_group.signers.id, "b79a7a1c-8c2f-4d0e-9a55-0c6f1f3f2d11"]
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
  # For a playlist without an age, which the server never sends: half of the target duration of 4 s.
  default_ttl = 2
  # Live playlists say 2 to 6 s, finished ones up to 3600.
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

# CloudFront answers for CORS itself, so that the Origin field needs no place in the cache key.
resource "aws_cloudfront_response_headers_policy" "cors" {
  name = "${var.name}-cors"

  cors_config {
    origin_override                  = true
    access_control_allow_credentials = true
    access_control_max_age_sec       = 86400
    access_control_allow_origins {
      items = ["https://example.com"]
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

# The public key of somebody who signs for viewers. CloudFront changes none: another one is another resource, which is made
# before this one goes.
resource "aws_cloudfront_public_key" "signing_a6216ade" {
  name        = "${var.name}-signing-a6216ade"
  encoded_key = <<-EOT
    -----BEGIN PUBLIC KEY-----
    MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA496wfY1xxtR5pAMYKMcs
    UL2FwLayaJCwSbxGOQaOnwmKYX+hriRKCXyMppluqQZnWaOCgHEzsQ/iFf38bega
    LbFSSf8Rg8lYiOfv+0DqpLlO9yUtKmpi2U8wuEWvHSzPr8/ZOVZMHwzbtR5xx9Xh
    0MMELblGeLJcCLNiJwRsvdVpORGdQ0+xjFgO0Vsp8HvBN7rcKaF+vC1+amm36Jqo
    2hLps5SGi66NfuN1duOW8QTFd6rWubjMOuC/Bm4OH30ygqqQJLLiupgXxnQcwR41
    +vPJD06yvgT8ZfH+5w+bG2mx6Ym+QTKk7mZM6oNuImlf8iVe7cd0mtNqj9jTABHC
    DQIDAQAB
    -----END PUBLIC KEY-----
  EOT

  lifecycle {
    create_before_destroy = true
  }
}

# The public key of somebody who signs for viewers. CloudFront changes none: another one is another resource, which is made
# before this one goes.
resource "aws_cloudfront_public_key" "signing_691eecbc" {
  name        = "${var.name}-signing-691eecbc"
  encoded_key = <<-EOT
    -----BEGIN PUBLIC KEY-----
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1wATDdkslW5+PiB5spGcyielE2kX
    fEyWoaoBb+V5o/uhK5ZHKXiIGrZnN5+h7mFE6m2cmeEgua945d9K2JG+ag==
    -----END PUBLIC KEY-----
  EOT

  lifecycle {
    create_before_destroy = true
  }
}

# Viewers get what one of these keys has signed, and nothing else.
resource "aws_cloudfront_key_group" "signers" {
  name = "${var.name}-signers"
  items = [
    aws_cloudfront_public_key.signing_a6216ade.id,
    aws_cloudfront_public_key.signing_691eecbc.id,
  ]
}

output "domain_name" {
  description = "Viewers ask https://{this}/streams/{stream}.m3u8"
  value       = aws_cloudfront_distribution.live.domain_name
}

output "distribution_id" {
  value = aws_cloudfront_distribution.live.id
}

output "signing_key_a6216ade_id" {
  description = "Key-Pair-Id of what the private key to this one signs"
  value       = aws_cloudfront_public_key.signing_a6216ade.id
}

output "signing_key_691eecbc_id" {
  description = "Key-Pair-Id of what the private key to this one signs"
  value       = aws_cloudfront_public_key.signing_691eecbc.id
}
