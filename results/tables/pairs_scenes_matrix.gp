# gnuplot pairs_scenes_matrix.gp writes pairs_scenes_matrix.svg and pairs_scenes_matrix.png; gnuplot 5.2 or newer.
set encoding utf8
# column, row, value
$painted << EOD
1 0 -1.8497605724403117
2 0 2.2886447673824164
0 1 -0.1292655911766015
2 1 0.4909319214441766
0 2 -1.3083540961580358
1 2 -2.388667751981883
EOD
$empty << EOD
EOD
$diagonal << EOD
0 0
1 1
2 2
EOD

do for [format in 'svg png'] {
reset
if (format eq 'svg') {
  points = 1.0
  set terminal svg noenhanced size 860,424 dynamic font 'sans-serif,13' background '#ffffff'
} else {
  points = 0.75
  set terminal pngcairo noenhanced size 1720,848 font 'sans,9.75' fontscale 2 linewidth 2 pointscale 2 background '#ffffff'
}
set output 'pairs_scenes_matrix.' . format
set lmargin at screen 0.30000; set rmargin at screen 0.74651; set bmargin at screen 0.06604; set tmargin at screen 0.68868
unset key; unset border; unset tics
set xrange [0:3]; set yrange [3:0]
set palette defined (-1 '#E69F00', 0 '#ffffff', 1 '#56B4E9')
set cbrange [-2.388667751981883:2.388667751981883]
set cbtics scale 0.5
set colorbox user origin screen 0.79767,0.06604 size screen 0.02093,0.62264
set label 1 'What each pair of tasks changes, generated scenes' at screen 0.5,0.94811 center font sprintf(',%g', 17 * points)
set label 3 'Δm in percentage points; scenes, 32 x 64, 7 classes; paper protocol; mean of 3 seeds, ±: standard deviation; best checkpoint' at screen 0.5,0.88915 center font sprintf(',%g', 12 * points) textcolor rgb '#444444'
set label 4 "change of Δm,\nhigher is better" at screen 0.80814,0.76415 center front
set label 5 "from" at first -0.08,-0.14 right front
set label 6 "to" at graph 0.5, first -0.42 center front
set label 10 "segmentation" at first -0.08,0.5 right front
set label 11 "segmentation" at first 0.5,-0.14 center front
set label 12 "-1.85\n± 5.53" at first 1.5,0.41000000000000003 center front
set label 13 "+2.29\n± 1.21" at first 2.5,0.41000000000000003 center front
set label 14 "depth" at first -0.08,1.5 right front
set label 15 "depth" at first 1.5,-0.14 center front
set label 16 "-0.13\n± 2.97" at first 0.5,1.41 center front
set label 17 "+0.49\n± 1.58" at first 2.5,1.41 center front
set label 18 "normals" at first -0.08,2.5 right front
set label 19 "normals" at first 2.5,-0.14 center front
set label 20 "-1.31\n± 1.98" at first 0.5,2.41 center front
set label 21 "-2.39\n± 1.75" at first 1.5,2.41 center front
plot $diagonal using ($1+0.5):($2+0.5):(0.49):(0.485) with boxxyerror fs solid noborder fc rgb '#d9d9d9' notitle, \
     $painted using ($1+0.5):($2+0.5):(0.49):(0.485):3 with boxxyerror fs solid noborder fc palette notitle, \
     $painted using ($1+0.5):($2+0.5):(0.49):(0.485) with boxxyerror lc rgb '#bbbbbb' fs empty notitle
unset output
}
