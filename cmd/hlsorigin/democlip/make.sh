#!/bin/sh
# Makes clip.flv: 24 s of a clock, a pendulum and a beep each second, drawn and sounded by ffmpeg alone.
#
# It loops without a seam. 24 s are 600 pictures at 25 fps, 12 groups of 2 s, and 1125 AAC frames at 48 kHz exactly (at
# 44.1 kHz no whole number of seconds is whole in both). The sound is encoded three times in a row and the middle taken, so
# that its first frame follows its last one. B-frames put the first picture 40 ms after the first time stamp; the sound is
# turned by as much, so that both tracks begin at 0, end at 24 s, and the beep meets the full second.
set -eu
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
font=${FONT:-/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf}
ff="ffmpeg -nostdin -hide_banner -loglevel error -y -fflags +bitexact"

# u is the time on the clock. A beep of 100 ms at each second: 880 Hz, at 0 an octave higher. A quiet fifth beneath it.
u='mod(t+24-0.04,24)'
beep="0.35*lt(mod($u,1),0.1)*sin(2*PI*880*(1+lt($u,1))*mod($u,1))*min(1,40*min(mod($u,1),0.1-mod($u,1)))"
bed="0.03*sin(2*PI*110*$u)*(1+0.5*sin(2*PI*$u/4))"
$ff -f lavfi -i "aevalsrc='$beep+$bed|$beep+0.03*sin(2*PI*165*$u)*(1+0.5*cos(2*PI*$u/4))':s=48000:d=72" \
	-c:a aac -profile:a aac_low -b:a 64k -flags +bitexact -f mp4 "$tmp/long.m4a"

# The encoder begins with a frame of silence, so frame 1126 holds the first sample of the second round.
$ff -i "$tmp/long.m4a" -c copy -bsf:a "noise=drop=lt(n\,1126)+gt(n\,2250),setts=time_base=1/48000:ts=N*1024" -f nut "$tmp/loop.nut"

$ff -f lavfi -i "gradients=s=640x360:r=25:d=24:x0=0:y0=0:x1=640:y1=360:nb_colors=2:c0=0x0b2f2b:c1=0x14433c:speed=0.00001:seed=1" \
	-f lavfi -i "color=c=0x4fd1bd:s=56x56:r=25:d=24,format=yuva420p,geq=lum='p(X,Y)':cb='p(X,Y)':cr='p(X,Y)':a='255*lt(hypot(X-27.5,Y-27.5),27)'" \
	-f lavfi -i "color=c=0x4fd1bd:s=640x6:r=25:d=24" \
	-filter_complex "[0][1]overlay=x='292+220*sin(2*PI*t/4)':y='50-30*cos(2*PI*t/2)'[a];[a][2]overlay=x='-640+640*t/24':y=354,
drawbox=x=0:y=0:w=640:h=360:color=0xffffff@0.85:t=5:enable='lt(mod(t,1),0.1)',
drawtext=fontfile=$font:fontsize=118:fontcolor=white:x=(w-tw)/2:y=142:text='%{eif\:floor(n/25)\:d\:2}.%{eif\:mod(n\,25)\:d\:2}',
drawtext=fontfile=$font:fontsize=22:fontcolor=0x9fd8cf:x=(w-tw)/2:y=276:text='second . picture',
drawtext=fontfile=$font:fontsize=20:fontcolor=0x6fb3a9:x=20:y=318:text='hlsorigin demo',
drawtext=fontfile=$font:fontsize=20:fontcolor=0x6fb3a9:x=w-tw-20:y=318:text='24 s, then again',format=yuv420p" \
	-c:v libx264 -profile:v main -level 3.0 -preset veryslow -crf 24 -maxrate 260k -bufsize 520k \
	-g 50 -keyint_min 50 -sc_threshold 0 -bf 2 -flags +cgop+bitexact -x264-params "b-pyramid=none:threads=1" -t 24 -f nut "$tmp/picture.nut"

$ff -i "$tmp/picture.nut" -i "$tmp/loop.nut" -map 0:v -map 1:a -c copy -copyts \
	-flags +bitexact -flvflags no_duration_filesize+no_metadata+no_sequence_end -f flv clip.flv
ls -l clip.flv
