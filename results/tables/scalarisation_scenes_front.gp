# gnuplot scalarisation_scenes_front.gp writes scalarisation_scenes_front.svg and scalarisation_scenes_front.png; gnuplot 5.2 or newer.
set encoding utf8
# AbsErr (m), lower is better: not dominated (hollow: dominated)
$panel1_1 << EOD
27.18360337652394 1.4887870601875737
27.18360337652394 1.603467990132712
27.924161002347454 1.603467990132712
EOD
# AbsErr (m), lower is better: Base ST-Net
$panel1_2 << EOD
EOD
# AbsErr (m), lower is better: 
$panel1_3 << EOD
27.398470843397742 1.6584176002696267
EOD
$panel1_3_sd << EOD
27.398470843397742 1.6584176002696267 0.3554959089931302 0.5387106417396503
EOD
# AbsErr (m), lower is better: Base MT-Net, equal
$panel1_4 << EOD
EOD
# AbsErr (m), lower is better: 
$panel1_5 << EOD
26.458060765016395 1.6066605356374735
EOD
$panel1_5_sd << EOD
26.458060765016395 1.6066605356374735 0.48838173713752564 0.51102692144609
EOD
# AbsErr (m), lower is better: Base MT-Net, uncertainty
$panel1_6 << EOD
EOD
# AbsErr (m), lower is better: 
$panel1_7 << EOD
26.711024991438975 1.5823791508695313
EOD
$panel1_7_sd << EOD
26.711024991438975 1.5823791508695313 0.4068421406853097 0.08525704628924044
EOD
# AbsErr (m), lower is better: Base MT-Net, famo
$panel1_8 << EOD
EOD
# AbsErr (m), lower is better: 
$panel1_9 << EOD
27.072346376368213 1.5025922036391037
EOD
$panel1_9_sd << EOD
27.072346376368213 1.5025922036391037 0.4301580507518068 0.3244449417512442
EOD
# AbsErr (m), lower is better: Base MT-Net, fixed
$panel1_10 << EOD
27.924161002347454 1.603467990132712
EOD
$panel1_10_sd << EOD
27.924161002347454 1.603467990132712 0.4081627164333146 0.7990974590792198
EOD
# AbsErr (m), lower is better: 
$panel1_11 << EOD
24.62199862625999 1.5742623245754153
27.173157337180736 1.5569804813878259
25.684473319440976 1.5545222220789405
EOD
$panel1_11_sd << EOD
24.62199862625999 1.5742623245754153 0.38892209018301194 0.348724464091836
27.173157337180736 1.5569804813878259 0.39283752327629384 0.6194950564492387
25.684473319440976 1.5545222220789405 0.5235029907909645 0.7764226948102271
EOD
# AbsErr (m), lower is better: Base MT-Net, stch
$panel1_12 << EOD
27.18360337652394 1.4887870601875737
EOD
$panel1_12_sd << EOD
27.18360337652394 1.4887870601875737 0.38192582285620397 1.2503333985310165
EOD
# AbsErr (m), lower is better: 
$panel1_13 << EOD
EOD
# AbsErr (m), lower is better: Base MT-Net, uw_so
$panel1_14 << EOD
EOD
# AbsErr (m), lower is better: 
$panel1_15 << EOD
26.03434689312954 1.5316179412227253
EOD
$panel1_15_sd << EOD
26.03434689312954 1.5316179412227253 0.438223869990028 0.7979803025134378
EOD
# AbsErr (m), lower is better: Base MT-Net, fairgrad
$panel1_16 << EOD
EOD
# AbsErr (m), lower is better: 
$panel1_17 << EOD
26.373772197205763 1.6187576440218059
EOD
$panel1_17_sd << EOD
26.373772197205763 1.6187576440218059 0.482058076349404 0.8718876382980033
EOD
# AbsErr (m), lower is better: XTasC-Net, equal
$panel1_18 << EOD
EOD
# AbsErr (m), lower is better: 
$panel1_19 << EOD
26.610727174967234 1.5212204601972399
EOD
$panel1_19_sd << EOD
26.610727174967234 1.5212204601972399 0.4461858981340011 0.2593382300625412
EOD
$legend_1 << EOD
484.0 250.0
506.0 250.0
528.0 250.0
EOD
$legend_2 << EOD
484.0 226.0
506.0 226.0
528.0 226.0
EOD
$legend_3 << EOD
484.0 202.0
506.0 202.0
528.0 202.0
EOD
$legend_4 << EOD
484.0 178.0
506.0 178.0
528.0 178.0
EOD
$legend_5 << EOD
484.0 154.0
506.0 154.0
528.0 154.0
EOD
$legend_6 << EOD
484.0 130.0
506.0 130.0
528.0 130.0
EOD
$legend_7 << EOD
484.0 106.0
506.0 106.0
528.0 106.0
EOD
$legend_8 << EOD
484.0 82.0
506.0 82.0
528.0 82.0
EOD
$legend_9 << EOD
484.0 58.0
506.0 58.0
528.0 58.0
EOD
$legend_10 << EOD
484.0 34.0
506.0 34.0
528.0 34.0
EOD

do for [format in 'svg png'] {
reset
if (format eq 'svg') {
  points = 1.0
  set terminal svg noenhanced size 800,362 dynamic font 'sans-serif,13' background '#ffffff'
} else {
  points = 0.75
  set terminal pngcairo noenhanced size 1600,724 font 'sans,9.75' fontscale 2 linewidth 2 pointscale 2 background '#ffffff'
}
set output 'scalarisation_scenes_front.' . format
set multiplot
unset key
set border 3 lc rgb '#444444'
set tics nomirror textcolor rgb '#222222'
set grid lc rgb '#dddddd' lt 1
set xtics offset 0,0.2
set errorbars 0.7
set offsets 0, 0, graph 0.06, graph 0.06
set label 1 'Fixed weights against methods, generated scenes' at screen 0.5,0.93923 center font sprintf(',%g', 17 * points)
set label 3 'scenes, 32 x 64, 7 classes; paper protocol; mean of 3 seeds, bars: standard deviation; best checkpoint' at screen 0.5,0.87017 center font sprintf(',%g', 12 * points) textcolor rgb '#444444'

# ---- AbsErr (m), lower is better
set lmargin at screen 0.10500; set rmargin at screen 0.47750; set bmargin at screen 0.16022; set tmargin at screen 0.72376
set label 5 'mIoU (%), higher is better' at graph 0.5, screen 0.06630 center
set label 2 'AbsErr (m), lower is better' at graph 0,1 offset -4,1.1 left
unset logscale x
set xrange [24.00627510421264:28.990257519382187]
set xtics autofreq
plot $panel1_1 using 1:2 with lines lc rgb '#777777' lw 2 dt 1 notitle, \
     $panel1_3_sd using 1:2:4:3 with xyerrorbars lc rgb '#990072B2' lw 1 pt -1 notitle, \
     $panel1_3 using 1:2 with points lc rgb '#FFFFFF' pt 7 ps 1.3 notitle, \
     $panel1_3 using 1:2 with points lc rgb '#0072B2' lw 1.6 pt 6 ps 1.3 notitle, \
     $panel1_5_sd using 1:2:4:3 with xyerrorbars lc rgb '#99D55E00' lw 1 pt -1 notitle, \
     $panel1_5 using 1:2 with points lc rgb '#FFFFFF' pt 5 ps 1.3 notitle, \
     $panel1_5 using 1:2 with points lc rgb '#D55E00' lw 1.6 pt 4 ps 1.3 notitle, \
     $panel1_7_sd using 1:2:4:3 with xyerrorbars lc rgb '#99009E73' lw 1 pt -1 notitle, \
     $panel1_7 using 1:2 with points lc rgb '#FFFFFF' pt 9 ps 1.3 notitle, \
     $panel1_7 using 1:2 with points lc rgb '#009E73' lw 1.6 pt 8 ps 1.3 notitle, \
     $panel1_9_sd using 1:2:4:3 with xyerrorbars lc rgb '#99CC79A7' lw 1 pt -1 notitle, \
     $panel1_9 using 1:2 with points lc rgb '#FFFFFF' pt 13 ps 1.3 notitle, \
     $panel1_9 using 1:2 with points lc rgb '#CC79A7' lw 1.6 pt 12 ps 1.3 notitle, \
     $panel1_10_sd using 1:2:4:3 with xyerrorbars lc rgb '#99E69F00' lw 1 pt -1 notitle, \
     $panel1_10 using 1:2 with points lc rgb '#E69F00' lw 1.6 pt 11 ps 1.3 notitle, \
     $panel1_11_sd using 1:2:4:3 with xyerrorbars lc rgb '#99E69F00' lw 1 pt -1 notitle, \
     $panel1_11 using 1:2 with points lc rgb '#FFFFFF' pt 11 ps 1.3 notitle, \
     $panel1_11 using 1:2 with points lc rgb '#E69F00' lw 1.6 pt 10 ps 1.3 notitle, \
     $panel1_12_sd using 1:2:4:3 with xyerrorbars lc rgb '#9956B4E9' lw 1 pt -1 notitle, \
     $panel1_12 using 1:2 with points lc rgb '#56B4E9' lw 1.6 pt 15 ps 1.3 notitle, \
     $panel1_15_sd using 1:2:4:3 with xyerrorbars lc rgb '#990072B2' lw 1 pt -1 notitle, \
     $panel1_15 using 1:2 with points lc rgb '#FFFFFF' pt 5 ps 1.3 notitle, \
     $panel1_15 using 1:2 with points lc rgb '#0072B2' lw 1.6 pt 4 ps 1.3 notitle, \
     $panel1_17_sd using 1:2:4:3 with xyerrorbars lc rgb '#99D55E00' lw 1 pt -1 notitle, \
     $panel1_17 using 1:2 with points lc rgb '#FFFFFF' pt 9 ps 1.3 notitle, \
     $panel1_17 using 1:2 with points lc rgb '#D55E00' lw 1.6 pt 8 ps 1.3 notitle, \
     $panel1_19_sd using 1:2:4:3 with xyerrorbars lc rgb '#99009E73' lw 1 pt -1 notitle, \
     $panel1_19 using 1:2 with points lc rgb '#FFFFFF' pt 13 ps 1.3 notitle, \
     $panel1_19 using 1:2 with points lc rgb '#009E73' lw 1.6 pt 12 ps 1.3 notitle
unset label 1
unset label 1; unset label 3

# ---- legend
set lmargin at screen 0.00000; set rmargin at screen 1.00000; set bmargin at screen 0.00000; set tmargin at screen 1.00000
unset label 2; unset label 5; unset border; unset tics; unset grid; unset logscale x; unset offsets
set xrange [0:800]; set yrange [0:362]
set label 10 'not dominated (hollow: dominated)' at 536.0,250.0 left
set label 11 'Base ST-Net' at 536.0,226.0 left
set label 12 'Base MT-Net, equal' at 536.0,202.0 left
set label 13 'Base MT-Net, uncertainty' at 536.0,178.0 left
set label 14 'Base MT-Net, famo' at 536.0,154.0 left
set label 15 'Base MT-Net, fixed' at 536.0,130.0 left
set label 16 'Base MT-Net, stch' at 536.0,106.0 left
set label 17 'Base MT-Net, uw_so' at 536.0,82.0 left
set label 18 'Base MT-Net, fairgrad' at 536.0,58.0 left
set label 19 'XTasC-Net, equal' at 536.0,34.0 left
plot $legend_1 with lines lc rgb '#777777' lw 2 dt 1 notitle, \
     $legend_2 every ::1::1 with points lc rgb '#0072B2' lw 2 pt 7 ps 1.3 notitle, \
     $legend_3 every ::1::1 with points lc rgb '#D55E00' lw 2 pt 5 ps 1.3 notitle, \
     $legend_4 every ::1::1 with points lc rgb '#009E73' lw 2 pt 9 ps 1.3 notitle, \
     $legend_5 every ::1::1 with points lc rgb '#CC79A7' lw 2 pt 13 ps 1.3 notitle, \
     $legend_6 every ::1::1 with points lc rgb '#E69F00' lw 2 pt 11 ps 1.3 notitle, \
     $legend_7 every ::1::1 with points lc rgb '#56B4E9' lw 2 pt 15 ps 1.3 notitle, \
     $legend_8 every ::1::1 with points lc rgb '#0072B2' lw 2 pt 5 ps 1.3 notitle, \
     $legend_9 every ::1::1 with points lc rgb '#D55E00' lw 2 pt 9 ps 1.3 notitle, \
     $legend_10 every ::1::1 with points lc rgb '#009E73' lw 2 pt 13 ps 1.3 notitle
unset multiplot
unset output
}
