# gnuplot table_III_reduced_curves.gp writes table_III_reduced_curves.svg and table_III_reduced_curves.png; gnuplot 5.2 or newer.
set encoding utf8
# Segmentation loss: 
$panel1_1 << EOD
1 1.9896873928683216
2 1.7065834355313114
3 1.6376181737459465
4 1.587913021321146
5 1.5430028689828201
6 1.5122612279508425
7 1.4834871847143385
8 1.4599340851041422
EOD
# Segmentation loss: Base ST-Net
$panel1_2 << EOD
1 1.8422459246825336
2 1.745227789682448
3 1.638265312182125
4 1.6700782001567196
5 1.6603661146524735
6 1.592268520912382
7 1.566026389846712
8 1.5399141074229548
EOD
# Segmentation loss: 
$panel1_3 << EOD
1 1.9932876189043687
2 1.7144939647717394
3 1.6437259745605366
4 1.5933917715989634
5 1.547622532796356
6 1.5160348932419174
7 1.4906773039942796
8 1.4667576844298813
EOD
# Segmentation loss: Base MT-Net
$panel1_4 << EOD
1 1.8862008670034187
2 1.7607306629423556
3 1.6639993092987315
4 1.6677794942715347
5 1.6403208121410289
6 1.5953824662892935
7 1.5895929299738665
8 1.533265655414216
EOD
# Segmentation loss: 
$panel1_5 << EOD
1 1.9930031454943287
2 1.7172426301758166
3 1.651821795834148
4 1.6004740866533589
5 1.5615209678664728
6 1.5336780237736873
7 1.510091568068754
8 1.4784146502325297
EOD
# Segmentation loss: Align-Net
$panel1_6 << EOD
1 1.8884068339023277
2 1.8030358707391787
3 1.6606824302328163
4 1.6915273127815413
5 1.6377960431859557
6 1.6022943956812918
7 1.5475418782053743
8 1.5466103953831212
EOD
# Segmentation loss: 
$panel1_7 << EOD
1 1.9920270551725208
2 1.7098385640215668
3 1.6418547608902527
4 1.5950837174628327
5 1.5536253705149599
6 1.5234263574669926
7 1.4961721120378355
8 1.4725075222687392
EOD
# Segmentation loss: XTasC-Net
$panel1_8 << EOD
1 1.9053896770223049
2 1.740543000901937
3 1.6707309902853742
4 1.6653384487773044
5 1.6432118898389878
6 1.6087038811933074
7 1.5568627960673243
8 1.5369479831507962
EOD
# mIoU (%), higher is better: Base ST-Net
$panel2_1 << EOD
1 11.63508901018533
2 13.73665964104887
3 13.527163816044713
4 14.150046610077688
5 14.498891331061111
6 14.872423344864071
7 16.595925067437157
8 16.54339007617476
EOD
# mIoU (%), higher is better: Base MT-Net
$panel2_2 << EOD
1 11.209862977458922
2 13.340974340941708
3 13.235491203697173
4 13.867771061782829
5 15.472185536621929
6 14.838482036158073
7 16.793038532057672
8 16.92632531613927
EOD
# mIoU (%), higher is better: Align-Net
$panel2_3 << EOD
1 11.697239861149116
2 13.424981824910024
3 13.254051005864174
4 13.226680218803638
5 14.443703900287403
6 14.724657153897654
7 16.567226706689137
8 16.12268771687038
EOD
# mIoU (%), higher is better: XTasC-Net
$panel2_4 << EOD
1 11.45567753695684
2 13.360048452778814
3 13.128045960658882
4 14.1969164062386
5 14.776991412453894
6 14.354930092862162
7 16.560222520633978
8 16.366501674503787
EOD
# PixAcc (%), higher is better: Base ST-Net
$panel3_1 << EOD
1 40.65353933307995
2 40.57720846882586
3 43.57915486460154
4 41.63469491305631
5 43.053155746883945
6 43.67052137660565
7 45.91426801040736
8 46.08859501282873
EOD
# PixAcc (%), higher is better: Base MT-Net
$panel3_2 << EOD
1 40.008070230612994
2 40.40286932500695
3 42.93794860153211
4 41.91061473576421
5 43.65370402786981
6 43.915364515130555
7 45.3266373332557
8 46.55613808193427
EOD
# PixAcc (%), higher is better: Align-Net
$panel3_3 << EOD
1 40.132290827585216
2 39.49116260646994
3 42.903895823489734
4 40.71168768594093
5 43.096732543590086
6 43.476218975373065
7 45.81523454592569
8 45.584524261243644
EOD
# PixAcc (%), higher is better: XTasC-Net
$panel3_4 << EOD
1 39.98869896979177
2 40.99613402318375
3 42.49722930916973
4 41.74736136852639
5 43.17407450664522
6 42.92019750989022
7 45.818129052042586
8 45.986854694303226
EOD
# Depth loss: 
$panel4_1 << EOD
1 1.1915823960641645
2 0.8421670474346329
3 0.7966754686157659
4 0.8018036733633317
5 0.7866300826552529
6 0.7873583072386448
7 0.7672431255661467
8 0.7537596353944742
EOD
# Depth loss: Base ST-Net
$panel4_2 << EOD
1 1.0436510693407204
2 0.9975315904763131
3 0.9080030713970872
4 0.8363268072816574
5 0.8119231385922213
6 0.9178357102455349
7 0.804827556333046
8 0.8578590369734924
EOD
# Depth loss: 
$panel4_3 << EOD
1 1.1974685236530485
2 0.836637293167834
3 0.8070379941718383
4 0.7902349694719855
5 0.7733256533460797
6 0.7762226512597042
7 0.7412503196758294
8 0.7362714027458767
EOD
# Depth loss: Base MT-Net
$panel4_4 << EOD
1 1.2567684894672593
2 0.8781014626179267
3 0.9040857542545424
4 0.809470847841432
5 0.831221164548798
6 0.8283131363195017
7 0.8255804922967147
8 1.2833567686401741
EOD
# Depth loss: 
$panel4_5 << EOD
1 1.200690873670128
2 0.8477273572166011
3 0.8065048182535471
4 0.7936131503222124
5 0.779192058620213
6 0.7657336609168622
7 0.7457123264576654
8 0.740089656571922
EOD
# Depth loss: Align-Net
$panel4_6 << EOD
1 1.0141776585068543
2 1.127169938627004
3 0.8317970340040481
4 0.870654892119428
5 0.7987843711806364
6 0.9217611358070957
7 0.854429887339974
8 0.7973996900272661
EOD
# Depth loss: 
$panel4_7 << EOD
1 1.2079587738468962
2 0.8443313095554615
3 0.8047228164642862
4 0.7985800797834336
5 0.7836511147846965
6 0.7708296318474056
7 0.7467012047767639
8 0.7332503464986693
EOD
# Depth loss: XTasC-Net
$panel4_8 << EOD
1 1.0595424003921883
2 0.8812482940312191
3 0.9176732334521932
4 0.823869347936881
5 0.7867027131060212
6 0.8147966030540816
7 0.8308820028188396
8 0.869676624963043
EOD
# AbsErr (m), lower is better: Base ST-Net
$panel5_1 << EOD
1 1.0436510716457474
2 0.9975315982252114
3 0.9080030632854668
4 0.8363268057113595
5 0.8119231433680122
6 0.9178357104925566
7 0.8048275457602397
8 0.8578590350605217
EOD
# AbsErr (m), lower is better: Base MT-Net
$panel5_2 << EOD
1 1.256768494876989
2 0.8781014683523974
3 0.9040857657531478
4 0.8094708462058693
5 0.8312211730547936
6 0.8283131352529473
7 0.825580491851628
8 1.2833567709719518
EOD
# AbsErr (m), lower is better: Align-Net
$panel5_3 << EOD
1 1.0141776648104344
2 1.1271699295000306
3 0.8317970322623289
4 0.8706548952858645
5 0.7987843709425592
6 0.9217611354226763
7 0.8544298870264098
8 0.7973996905358861
EOD
# AbsErr (m), lower is better: XTasC-Net
$panel5_4 << EOD
1 1.0595423942593456
2 0.8812482955417107
3 0.9176732449474856
4 0.8238693444358048
5 0.7867027081024616
6 0.8147965963174721
7 0.8308820105923178
8 0.8696766233493167
EOD
# RelErr (ratio), lower is better: Base ST-Net
$panel6_1 << EOD
1 0.38474766963075674
2 0.389043458454954
3 0.39985647831339216
4 0.35075517301096654
5 0.33640003731901835
6 0.31784869468044646
7 0.33446709920228507
8 0.3641400051079703
EOD
# RelErr (ratio), lower is better: Base MT-Net
$panel6_2 << EOD
1 0.42386271261075803
2 0.3320531380795263
3 0.38554605854962154
4 0.33544793662877975
5 0.3285460043706202
6 0.305151974448277
7 0.31395353652876584
8 0.5264985380969897
EOD
# RelErr (ratio), lower is better: Align-Net
$panel6_3 << EOD
1 0.35837651620453215
2 0.41141713365914334
3 0.3480824216836507
4 0.35837699770715037
5 0.3455809686202546
6 0.3242383754645706
7 0.3303233765328133
8 0.33255636619411777
EOD
# RelErr (ratio), lower is better: XTasC-Net
$panel6_4 << EOD
1 0.35880011581241983
2 0.3338031232812276
3 0.3690837157007619
4 0.3299355267314981
5 0.3242890657701591
6 0.3163274216381992
7 0.31804143886561315
8 0.3694082447411284
EOD
$legend_1 << EOD
303.4 12.0
325.4 12.0
347.4 12.0
EOD
$legend_2 << EOD
451.7 12.0
473.7 12.0
495.7 12.0
EOD
$legend_3 << EOD
600.0 12.0
622.0 12.0
644.0 12.0
EOD
$legend_4 << EOD
748.3 12.0
770.3 12.0
792.3 12.0
EOD

do for [format in 'svg png'] {
reset
if (format eq 'svg') {
  points = 1.0
  set terminal svg noenhanced size 1200,696 dynamic font 'sans-serif,13' background '#ffffff'
} else {
  points = 0.75
  set terminal pngcairo noenhanced size 2400,1392 font 'sans,9.75' fontscale 2 linewidth 2 pointscale 2 background '#ffffff'
}
set output 'table_III_reduced_curves.' . format
set multiplot
unset key
set border 3 lc rgb '#444444'
set tics nomirror textcolor rgb '#222222'
set grid lc rgb '#dddddd' lt 1
set xtics offset 0,0.2
set errorbars 0.7
set offsets 0, 0, graph 0.06, graph 0.06
set label 1 'Training curves' at screen 0.5,0.96839 center font sprintf(',%g', 17 * points)
set label 3 'nyuv2, 96 x 128, 13 classes; paper protocol; one seed; losses: solid validation, dashed training' at screen 0.5,0.93247 center font sprintf(',%g', 12 * points) textcolor rgb '#444444'

# ---- Segmentation loss
set lmargin at screen 0.05167; set rmargin at screen 0.31833; set bmargin at screen 0.56322; set tmargin at screen 0.85632
set label 5 'Epoch' at graph 0.5, screen 0.51437 center
set label 2 'Segmentation loss' at graph 0,1 offset -4,1.1 left
unset logscale x
set xrange [*:*]
set xtics ("1" 1, "2" 2, "3" 3, "4" 4, "5" 5, "6" 6, "7" 7, "8" 8)
plot $panel1_1 using 1:2 with lines lc rgb '#0072B2' lw 1.2 dt 2 notitle, \
     $panel1_2 using 1:2 with linespoints lc rgb '#0072B2' lw 2 dt 1 pt 7 ps 1 pi 1 notitle, \
     $panel1_3 using 1:2 with lines lc rgb '#D55E00' lw 1.2 dt 2 notitle, \
     $panel1_4 using 1:2 with linespoints lc rgb '#D55E00' lw 2 dt 1 pt 5 ps 1 pi 1 notitle, \
     $panel1_5 using 1:2 with lines lc rgb '#009E73' lw 1.2 dt 2 notitle, \
     $panel1_6 using 1:2 with linespoints lc rgb '#009E73' lw 2 dt 1 pt 9 ps 1 pi 1 notitle, \
     $panel1_7 using 1:2 with lines lc rgb '#CC79A7' lw 1.2 dt 2 notitle, \
     $panel1_8 using 1:2 with linespoints lc rgb '#CC79A7' lw 2 dt 1 pt 13 ps 1 pi 1 notitle
unset label 1
unset label 1; unset label 3

# ---- mIoU (%), higher is better
set lmargin at screen 0.38500; set rmargin at screen 0.65167; set bmargin at screen 0.56322; set tmargin at screen 0.85632
set label 5 'Epoch' at graph 0.5, screen 0.51437 center
set label 2 'mIoU (%), higher is better' at graph 0,1 offset -4,1.1 left
unset logscale x
set xrange [*:*]
set xtics ("1" 1, "2" 2, "3" 3, "4" 4, "5" 5, "6" 6, "7" 7, "8" 8)
plot $panel2_1 using 1:2 with linespoints lc rgb '#0072B2' lw 2 dt 1 pt 7 ps 1 pi 1 notitle, \
     $panel2_2 using 1:2 with linespoints lc rgb '#D55E00' lw 2 dt 1 pt 5 ps 1 pi 1 notitle, \
     $panel2_3 using 1:2 with linespoints lc rgb '#009E73' lw 2 dt 1 pt 9 ps 1 pi 1 notitle, \
     $panel2_4 using 1:2 with linespoints lc rgb '#CC79A7' lw 2 dt 1 pt 13 ps 1 pi 1 notitle
unset label 1

# ---- PixAcc (%), higher is better
set lmargin at screen 0.71833; set rmargin at screen 0.98500; set bmargin at screen 0.56322; set tmargin at screen 0.85632
set label 5 'Epoch' at graph 0.5, screen 0.51437 center
set label 2 'PixAcc (%), higher is better' at graph 0,1 offset -4,1.1 left
unset logscale x
set xrange [*:*]
set xtics ("1" 1, "2" 2, "3" 3, "4" 4, "5" 5, "6" 6, "7" 7, "8" 8)
plot $panel3_1 using 1:2 with linespoints lc rgb '#0072B2' lw 2 dt 1 pt 7 ps 1 pi 1 notitle, \
     $panel3_2 using 1:2 with linespoints lc rgb '#D55E00' lw 2 dt 1 pt 5 ps 1 pi 1 notitle, \
     $panel3_3 using 1:2 with linespoints lc rgb '#009E73' lw 2 dt 1 pt 9 ps 1 pi 1 notitle, \
     $panel3_4 using 1:2 with linespoints lc rgb '#CC79A7' lw 2 dt 1 pt 13 ps 1 pi 1 notitle
unset label 1

# ---- Depth loss
set lmargin at screen 0.05167; set rmargin at screen 0.31833; set bmargin at screen 0.13218; set tmargin at screen 0.42529
set label 5 'Epoch' at graph 0.5, screen 0.08333 center
set label 2 'Depth loss' at graph 0,1 offset -4,1.1 left
unset logscale x
set xrange [*:*]
set xtics ("1" 1, "2" 2, "3" 3, "4" 4, "5" 5, "6" 6, "7" 7, "8" 8)
plot $panel4_1 using 1:2 with lines lc rgb '#0072B2' lw 1.2 dt 2 notitle, \
     $panel4_2 using 1:2 with linespoints lc rgb '#0072B2' lw 2 dt 1 pt 7 ps 1 pi 1 notitle, \
     $panel4_3 using 1:2 with lines lc rgb '#D55E00' lw 1.2 dt 2 notitle, \
     $panel4_4 using 1:2 with linespoints lc rgb '#D55E00' lw 2 dt 1 pt 5 ps 1 pi 1 notitle, \
     $panel4_5 using 1:2 with lines lc rgb '#009E73' lw 1.2 dt 2 notitle, \
     $panel4_6 using 1:2 with linespoints lc rgb '#009E73' lw 2 dt 1 pt 9 ps 1 pi 1 notitle, \
     $panel4_7 using 1:2 with lines lc rgb '#CC79A7' lw 1.2 dt 2 notitle, \
     $panel4_8 using 1:2 with linespoints lc rgb '#CC79A7' lw 2 dt 1 pt 13 ps 1 pi 1 notitle
unset label 1

# ---- AbsErr (m), lower is better
set lmargin at screen 0.38500; set rmargin at screen 0.65167; set bmargin at screen 0.13218; set tmargin at screen 0.42529
set label 5 'Epoch' at graph 0.5, screen 0.08333 center
set label 2 'AbsErr (m), lower is better' at graph 0,1 offset -4,1.1 left
unset logscale x
set xrange [*:*]
set xtics ("1" 1, "2" 2, "3" 3, "4" 4, "5" 5, "6" 6, "7" 7, "8" 8)
plot $panel5_1 using 1:2 with linespoints lc rgb '#0072B2' lw 2 dt 1 pt 7 ps 1 pi 1 notitle, \
     $panel5_2 using 1:2 with linespoints lc rgb '#D55E00' lw 2 dt 1 pt 5 ps 1 pi 1 notitle, \
     $panel5_3 using 1:2 with linespoints lc rgb '#009E73' lw 2 dt 1 pt 9 ps 1 pi 1 notitle, \
     $panel5_4 using 1:2 with linespoints lc rgb '#CC79A7' lw 2 dt 1 pt 13 ps 1 pi 1 notitle
unset label 1

# ---- RelErr (ratio), lower is better
set lmargin at screen 0.71833; set rmargin at screen 0.98500; set bmargin at screen 0.13218; set tmargin at screen 0.42529
set label 5 'Epoch' at graph 0.5, screen 0.08333 center
set label 2 'RelErr (ratio), lower is better' at graph 0,1 offset -4,1.1 left
unset logscale x
set xrange [*:*]
set xtics ("1" 1, "2" 2, "3" 3, "4" 4, "5" 5, "6" 6, "7" 7, "8" 8)
plot $panel6_1 using 1:2 with linespoints lc rgb '#0072B2' lw 2 dt 1 pt 7 ps 1 pi 1 notitle, \
     $panel6_2 using 1:2 with linespoints lc rgb '#D55E00' lw 2 dt 1 pt 5 ps 1 pi 1 notitle, \
     $panel6_3 using 1:2 with linespoints lc rgb '#009E73' lw 2 dt 1 pt 9 ps 1 pi 1 notitle, \
     $panel6_4 using 1:2 with linespoints lc rgb '#CC79A7' lw 2 dt 1 pt 13 ps 1 pi 1 notitle
unset label 1

# ---- legend
set lmargin at screen 0.00000; set rmargin at screen 1.00000; set bmargin at screen 0.00000; set tmargin at screen 1.00000
unset label 2; unset label 5; unset border; unset tics; unset grid; unset logscale x; unset offsets
set xrange [0:1200]; set yrange [0:696]
set label 10 'Base ST-Net' at 355.4,12.0 left
set label 11 'Base MT-Net' at 503.7,12.0 left
set label 12 'Align-Net' at 652.0,12.0 left
set label 13 'XTasC-Net' at 800.3,12.0 left
plot $legend_1 with lines lc rgb '#0072B2' lw 2 dt 1 notitle, \
     $legend_1 every ::1::1 with points lc rgb '#0072B2' lw 2 pt 7 ps 1 notitle, \
     $legend_2 with lines lc rgb '#D55E00' lw 2 dt 1 notitle, \
     $legend_2 every ::1::1 with points lc rgb '#D55E00' lw 2 pt 5 ps 1 notitle, \
     $legend_3 with lines lc rgb '#009E73' lw 2 dt 1 notitle, \
     $legend_3 every ::1::1 with points lc rgb '#009E73' lw 2 pt 9 ps 1 notitle, \
     $legend_4 with lines lc rgb '#CC79A7' lw 2 dt 1 notitle, \
     $legend_4 every ::1::1 with points lc rgb '#CC79A7' lw 2 pt 13 ps 1 notitle
unset multiplot
unset output
}
