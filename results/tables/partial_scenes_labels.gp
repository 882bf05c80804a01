# gnuplot partial_scenes_labels.gp writes partial_scenes_labels.svg and partial_scenes_labels.png; gnuplot 5.2 or newer.
set encoding utf8
# mIoU (%), higher is better: Base MT-Net
$panel1_1 << EOD
0 25.605331154003387
1 24.372838678485223
2 20.56111620513102
3 20.330558768826815
4 21.6685747561988
EOD
$panel1_1_sd << EOD
0 25.605331154003387 0.9104346972002691
1 24.372838678485223 2.2915829670990684
2 20.56111620513102 1.8344343047852165
3 20.330558768826815 1.0116984971608338
4 21.6685747561988 0.5928876794223967
EOD
# mIoU (%), higher is better: Align-Net
$panel1_2 << EOD
0 26.62731220220836
1 24.3362528202589
2 21.757372287523584
3 18.83323994914798
4 22.335944034996782
EOD
$panel1_2_sd << EOD
0 26.62731220220836 1.088850324478792
1 24.3362528202589 2.9061234170006434
2 21.757372287523584 1.718557733074392
3 18.83323994914798 1.086043175704461
4 22.335944034996782 1.516160395963235
EOD
# mIoU (%), higher is better: XTasC-Net
$panel1_3 << EOD
0 26.1229750499339
1 24.850552416563986
2 20.9495760853229
3 18.677876131511812
4 21.1134810638725
EOD
$panel1_3_sd << EOD
0 26.1229750499339 1.9297794548744474
1 24.850552416563986 1.952002479854706
2 20.9495760853229 0.18080652398236335
3 18.677876131511812 1.0101158658450506
4 21.1134810638725 1.7759405199292337
EOD
# PixAcc (%), higher is better: Base MT-Net
$panel2_1 << EOD
0 71.49480183919272
1 69.18614705403647
2 62.693277994791664
3 59.873199462890625
4 64.80000813802084
EOD
$panel2_1_sd << EOD
0 71.49480183919272 0.6473078549148947
1 69.18614705403647 2.118968612381521
2 62.693277994791664 2.9822549186666896
3 59.873199462890625 1.7784645599714801
4 64.80000813802084 3.027095547366289
EOD
# PixAcc (%), higher is better: Align-Net
$panel2_2 << EOD
0 72.43245442708334
1 70.04470825195312
2 65.10213216145834
3 59.15679931640625
4 65.77784220377603
EOD
$panel2_2_sd << EOD
0 72.43245442708334 0.846353096839033
1 70.04470825195312 2.3288735242087597
2 65.10213216145834 3.3374171662484007
3 59.15679931640625 2.8553419549777437
4 65.77784220377603 2.2286949295233707
EOD
# PixAcc (%), higher is better: XTasC-Net
$panel2_3 << EOD
0 71.74479166666666
1 69.83998616536459
2 63.34381103515625
3 58.150227864583336
4 65.02100626627603
EOD
$panel2_3_sd << EOD
0 71.74479166666666 1.505561089484132
1 69.83998616536459 1.4796856820802957
2 63.34381103515625 3.624530225740196
3 58.150227864583336 5.056743433778861
4 65.02100626627603 1.7206276202477788
EOD
# AbsErr (m), lower is better: Base MT-Net
$panel3_1 << EOD
0 1.5331232984840988
1 1.989756091554294
2 2.017811839446826
3 2.61743222213769
4 1.8612323075471064
EOD
$panel3_1_sd << EOD
0 1.5331232984840988 0.5034283260784482
1 1.989756091554294 0.36450888193864933
2 2.017811839446826 0.3265876779522655
3 2.61743222213769 0.5560944583856703
4 1.8612323075471064 0.4125119512197174
EOD
# AbsErr (m), lower is better: Align-Net
$panel3_2 << EOD
0 1.5278346323151561
1 1.9036734326680607
2 2.2763143687206533
3 2.846644769530529
4 2.0678022439733947
EOD
$panel3_2_sd << EOD
0 1.5278346323151561 0.45483130154887164
1 1.9036734326680607 0.3401184385014165
2 2.2763143687206533 0.628359746807303
3 2.846644769530529 0.3031228315380902
4 2.0678022439733947 0.34433701509056897
EOD
# AbsErr (m), lower is better: XTasC-Net
$panel3_3 << EOD
0 1.5635848593422252
1 1.8597908121585964
2 2.1764280883555998
3 2.7087193038562543
4 2.1185344946243636
EOD
$panel3_3_sd << EOD
0 1.5635848593422252 0.34174910160077304
1 1.8597908121585964 0.5045910828287837
2 2.1764280883555998 0.6179855905987484
3 2.7087193038562543 0.39098239885329017
4 2.1185344946243636 0.5196305840640734
EOD
# RelErr (ratio), lower is better: Base MT-Net
$panel4_1 << EOD
0 0.39123791605426556
1 0.5247216072419323
2 0.5279581987878711
3 0.7326528674621651
4 0.4885134372575517
EOD
$panel4_1_sd << EOD
0 0.39123791605426556 0.11653074148724574
1 0.5247216072419323 0.06592044778380854
2 0.5279581987878711 0.09099045208494147
3 0.7326528674621651 0.18926906276461058
4 0.4885134372575517 0.09981112027970694
EOD
# RelErr (ratio), lower is better: Align-Net
$panel4_2 << EOD
0 0.3909342950281846
1 0.4924378170449568
2 0.6083831389872514
3 0.7959120804133019
4 0.5636317006867284
EOD
$panel4_2_sd << EOD
0 0.3909342950281846 0.10445722906931215
1 0.4924378170449568 0.06889199791930624
2 0.6083831389872514 0.17207643146152204
3 0.7959120804133019 0.0820412367196685
4 0.5636317006867284 0.09649099580737236
EOD
# RelErr (ratio), lower is better: XTasC-Net
$panel4_3 << EOD
0 0.41109285683920066
1 0.47393180660600454
2 0.5875882318158744
3 0.7599128590814699
4 0.5660605318460641
EOD
$panel4_3_sd << EOD
0 0.41109285683920066 0.06103072533849167
1 0.47393180660600454 0.11769055348884508
2 0.5875882318158744 0.18906194470043103
3 0.7599128590814699 0.11316080287597999
4 0.5660605318460641 0.13227112394461663
EOD
# Mean angle (degrees), lower is better: Base MT-Net
$panel5_1 << EOD
0 35.322786083344475
1 39.65667989666475
2 44.50569529535127
3 53.42803197481184
4 41.41121549479777
EOD
$panel5_1_sd << EOD
0 35.322786083344475 1.1935620972564225
1 39.65667989666475 0.6743741239144695
2 44.50569529535127 3.193870279783007
3 53.42803197481184 2.286547714972893
4 41.41121549479777 1.8749006337284262
EOD
# Mean angle (degrees), lower is better: Align-Net
$panel5_2 << EOD
0 35.13404925562359
1 38.978988136708274
2 45.007771700069135
3 54.23113153253676
4 41.24220262894612
EOD
$panel5_2_sd << EOD
0 35.13404925562359 0.6113873652098963
1 38.978988136708274 0.25602931549891955
2 45.007771700069135 1.9115563308639123
3 54.23113153253676 6.019141789554253
4 41.24220262894612 1.8807103817872264
EOD
# Mean angle (degrees), lower is better: XTasC-Net
$panel5_3 << EOD
0 35.541030725367996
1 38.186028704831976
2 45.81137727128447
3 52.76486031837277
4 44.43305280669309
EOD
$panel5_3_sd << EOD
0 35.541030725367996 0.9375571837259858
1 38.186028704831976 0.590077629019282
2 45.81137727128447 4.004063951343454
3 52.76486031837277 5.252406851972744
4 44.43305280669309 6.950435805831105
EOD
# Median angle (degrees), lower is better: Base MT-Net
$panel6_1 << EOD
0 31.389603807793794
1 36.6919750743424
2 42.30572067283086
3 52.39485179659562
4 37.88218622072831
EOD
$panel6_1_sd << EOD
0 31.389603807793794 1.2843126163516034
1 36.6919750743424 0.17319025589671636
2 42.30572067283086 3.482426671433384
3 52.39485179659562 1.8045089647417882
4 37.88218622072831 1.7215527437211184
EOD
# Median angle (degrees), lower is better: Align-Net
$panel6_2 << EOD
0 30.902600441616073
1 35.44221951207451
2 43.1318575587214
3 51.608919012250006
4 38.229053647903946
EOD
$panel6_2_sd << EOD
0 30.902600441616073 0.633120435865112
1 35.44221951207451 0.4340050603332239
2 43.1318575587214 3.1310013282367795
3 51.608919012250006 6.661437586722151
4 38.229053647903946 2.1251137417729637
EOD
# Median angle (degrees), lower is better: XTasC-Net
$panel6_3 << EOD
0 31.789793387202465
1 35.083839264259524
2 44.63109462836226
3 51.68255911687502
4 42.34950630435557
EOD
$panel6_3_sd << EOD
0 31.789793387202465 0.9621770099814496
1 35.083839264259524 0.3170929899961704
2 44.63109462836226 5.77882181799317
3 51.68255911687502 9.305795526320283
4 42.34950630435557 8.10156372137792
EOD
# Within 11.25 (%), higher is better: Base MT-Net
$panel7_1 << EOD
0 12.361399332682293
1 7.330067952473958
2 6.467437744140625
3 6.878916422526042
4 7.566579182942708
EOD
$panel7_1_sd << EOD
0 12.361399332682293 0.6569224729183122
1 7.330067952473958 1.3869329268089365
2 6.467437744140625 2.7825961371299193
3 6.878916422526042 0.353637319153566
4 7.566579182942708 1.1041661717886837
EOD
# Within 11.25 (%), higher is better: Align-Net
$panel7_2 << EOD
0 12.383015950520832
1 8.143107096354168
2 7.184600830078125
3 4.904683430989584
4 6.940968831380208
EOD
$panel7_2_sd << EOD
0 12.383015950520832 0.87382527898593
1 8.143107096354168 1.5860500795866335
2 7.184600830078125 2.545806863547712
3 4.904683430989584 1.8567686693128538
4 6.940968831380208 1.744084484753174
EOD
# Within 11.25 (%), higher is better: XTasC-Net
$panel7_3 << EOD
0 13.147735595703125
1 8.943430582682293
2 7.028961181640625
3 5.681101481119791
4 7.454935709635417
EOD
$panel7_3_sd << EOD
0 13.147735595703125 0.8840147541673692
1 8.943430582682293 1.8191397088963028
2 7.028961181640625 2.7254962033337042
3 5.681101481119791 0.03946936826933978
4 7.454935709635417 0.8678590822066484
EOD
# Within 22.5 (%), higher is better: Base MT-Net
$panel8_1 << EOD
0 34.380849202473954
1 24.546051025390625
2 20.297749837239586
3 19.97222900390625
4 25.011189778645832
EOD
$panel8_1_sd << EOD
0 34.380849202473954 1.627693789716674
1 24.546051025390625 1.9380842671900846
2 20.297749837239586 4.701685881054877
3 19.97222900390625 0.4163014623168513
4 25.011189778645832 1.9764971539315352
EOD
# Within 22.5 (%), higher is better: Align-Net
$panel8_2 << EOD
0 34.60947672526042
1 25.647735595703125
2 21.5576171875
3 17.00261433919271
4 23.47844441731771
EOD
$panel8_2_sd << EOD
0 34.60947672526042 1.9220957504077405
1 25.647735595703125 2.5845500464917928
2 21.5576171875 4.615825495254751
3 17.00261433919271 2.6964469623604375
4 23.47844441731771 2.4024674256467695
EOD
# Within 22.5 (%), higher is better: XTasC-Net
$panel8_3 << EOD
0 34.496307373046875
1 27.167002360026043
2 21.02788289388021
3 18.407694498697914
4 23.540242513020836
EOD
$panel8_3_sd << EOD
0 34.496307373046875 1.3347915184020196
1 27.167002360026043 1.7731672010453572
2 21.02788289388021 5.046188492550466
3 18.407694498697914 0.44113891060650656
4 23.540242513020836 3.4800512287825978
EOD
# Within 30 (%), higher is better: Base MT-Net
$panel9_1 << EOD
0 47.710418701171875
1 37.906646728515625
2 31.258646647135418
3 28.334299723307293
4 37.481435139973954
EOD
$panel9_1_sd << EOD
0 47.710418701171875 2.203223178710105
1 37.906646728515625 1.2040192594499952
2 31.258646647135418 4.6970430684584725
3 28.334299723307293 0.20357954384597263
4 37.481435139973954 2.480287218272122
EOD
# Within 30 (%), higher is better: Align-Net
$panel9_2 << EOD
0 48.41512044270833
1 39.41548665364583
2 32.015228271484375
3 26.361592610677082
4 36.45121256510417
EOD
$panel9_2_sd << EOD
0 48.41512044270833 1.2728309694703959
1 39.41548665364583 1.9453601166662893
2 32.015228271484375 4.434659912142546
3 26.361592610677082 2.535020647980118
4 36.45121256510417 2.5279503828946033
EOD
# Within 30 (%), higher is better: XTasC-Net
$panel9_3 << EOD
0 47.1038818359375
1 40.70485432942708
2 30.855814615885418
3 27.337900797526043
4 34.700266520182296
EOD
$panel9_3_sd << EOD
0 47.1038818359375 1.6905586602822547
1 40.70485432942708 1.0004101096376716
2 30.855814615885418 6.125855680642611
3 27.337900797526043 1.3295270932076513
4 34.700266520182296 6.1725913540719874
EOD
$legend_1 << EOD
377.5 12.0
399.5 12.0
421.5 12.0
EOD
$legend_2 << EOD
525.8 12.0
547.8 12.0
569.8 12.0
EOD
$legend_3 << EOD
674.1 12.0
696.1 12.0
718.1 12.0
EOD

do for [format in 'svg png'] {
reset
if (format eq 'svg') {
  points = 1.0
  set terminal svg noenhanced size 1200,996 dynamic font 'sans-serif,13' background '#ffffff'
} else {
  points = 0.75
  set terminal pngcairo noenhanced size 2400,1992 font 'sans,9.75' fontscale 2 linewidth 2 pointscale 2 background '#ffffff'
}
set output 'partial_scenes_labels.' . format
set multiplot
unset key
set border 3 lc rgb '#444444'
set tics nomirror textcolor rgb '#222222'
set grid lc rgb '#dddddd' lt 1
set xtics offset 0,0.2
set errorbars 0.7
set offsets 0, 0, graph 0.06, graph 0.06
set label 1 'Labels that images lack, generated scenes' at screen 0.5,0.97791 center font sprintf(',%g', 17 * points)
set label 3 'scenes, 32 x 64, 7 classes; paper protocol; mean of 3 seeds, bands: standard deviation; best checkpoint' at screen 0.5,0.95281 center font sprintf(',%g', 12 * points) textcolor rgb '#444444'

# ---- mIoU (%), higher is better
set lmargin at screen 0.07000; set rmargin at screen 0.31833; set bmargin at screen 0.69478; set tmargin at screen 0.89960
set label 5 'Share of images with the labels of a task' at graph 0.5, screen 0.66064 center
set label 2 'mIoU (%), higher is better' at graph 0,1 offset -4,1.1 left
unset logscale x
set xrange [-0.4:4.4]
set xtics ("1" 0, "0.5" 1, "0.25" 2, "0.1" 3, "one label" 4)
plot $panel1_1_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#0072B2' fs transparent solid 0.18 noborder notitle, \
     $panel1_1 using 1:2 with linespoints lc rgb '#0072B2' lw 2 dt 1 pt 7 ps 1 pi 1 notitle, \
     $panel1_2_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#D55E00' fs transparent solid 0.18 noborder notitle, \
     $panel1_2 using 1:2 with linespoints lc rgb '#D55E00' lw 2 dt 1 pt 5 ps 1 pi 1 notitle, \
     $panel1_3_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#009E73' fs transparent solid 0.18 noborder notitle, \
     $panel1_3 using 1:2 with linespoints lc rgb '#009E73' lw 2 dt 1 pt 9 ps 1 pi 1 notitle
unset label 1
unset label 1; unset label 3

# ---- PixAcc (%), higher is better
set lmargin at screen 0.40333; set rmargin at screen 0.65167; set bmargin at screen 0.69478; set tmargin at screen 0.89960
set label 5 'Share of images with the labels of a task' at graph 0.5, screen 0.66064 center
set label 2 'PixAcc (%), higher is better' at graph 0,1 offset -4,1.1 left
unset logscale x
set xrange [-0.4:4.4]
set xtics ("1" 0, "0.5" 1, "0.25" 2, "0.1" 3, "one label" 4)
plot $panel2_1_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#0072B2' fs transparent solid 0.18 noborder notitle, \
     $panel2_1 using 1:2 with linespoints lc rgb '#0072B2' lw 2 dt 1 pt 7 ps 1 pi 1 notitle, \
     $panel2_2_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#D55E00' fs transparent solid 0.18 noborder notitle, \
     $panel2_2 using 1:2 with linespoints lc rgb '#D55E00' lw 2 dt 1 pt 5 ps 1 pi 1 notitle, \
     $panel2_3_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#009E73' fs transparent solid 0.18 noborder notitle, \
     $panel2_3 using 1:2 with linespoints lc rgb '#009E73' lw 2 dt 1 pt 9 ps 1 pi 1 notitle
unset label 1

# ---- AbsErr (m), lower is better
set lmargin at screen 0.73667; set rmargin at screen 0.98500; set bmargin at screen 0.69478; set tmargin at screen 0.89960
set label 5 'Share of images with the labels of a task' at graph 0.5, screen 0.66064 center
set label 2 'AbsErr (m), lower is better' at graph 0,1 offset -4,1.1 left
unset logscale x
set xrange [-0.4:4.4]
set xtics ("1" 0, "0.5" 1, "0.25" 2, "0.1" 3, "one label" 4)
plot $panel3_1_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#0072B2' fs transparent solid 0.18 noborder notitle, \
     $panel3_1 using 1:2 with linespoints lc rgb '#0072B2' lw 2 dt 1 pt 7 ps 1 pi 1 notitle, \
     $panel3_2_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#D55E00' fs transparent solid 0.18 noborder notitle, \
     $panel3_2 using 1:2 with linespoints lc rgb '#D55E00' lw 2 dt 1 pt 5 ps 1 pi 1 notitle, \
     $panel3_3_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#009E73' fs transparent solid 0.18 noborder notitle, \
     $panel3_3 using 1:2 with linespoints lc rgb '#009E73' lw 2 dt 1 pt 9 ps 1 pi 1 notitle
unset label 1

# ---- RelErr (ratio), lower is better
set lmargin at screen 0.07000; set rmargin at screen 0.31833; set bmargin at screen 0.39357; set tmargin at screen 0.59839
set label 5 'Share of images with the labels of a task' at graph 0.5, screen 0.35944 center
set label 2 'RelErr (ratio), lower is better' at graph 0,1 offset -4,1.1 left
unset logscale x
set xrange [-0.4:4.4]
set xtics ("1" 0, "0.5" 1, "0.25" 2, "0.1" 3, "one label" 4)
plot $panel4_1_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#0072B2' fs transparent solid 0.18 noborder notitle, \
     $panel4_1 using 1:2 with linespoints lc rgb '#0072B2' lw 2 dt 1 pt 7 ps 1 pi 1 notitle, \
     $panel4_2_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#D55E00' fs transparent solid 0.18 noborder notitle, \
     $panel4_2 using 1:2 with linespoints lc rgb '#D55E00' lw 2 dt 1 pt 5 ps 1 pi 1 notitle, \
     $panel4_3_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#009E73' fs transparent solid 0.18 noborder notitle, \
     $panel4_3 using 1:2 with linespoints lc rgb '#009E73' lw 2 dt 1 pt 9 ps 1 pi 1 notitle
unset label 1

# ---- Mean angle (degrees), lower is better
set lmargin at screen 0.40333; set rmargin at screen 0.65167; set bmargin at screen 0.39357; set tmargin at screen 0.59839
set label 5 'Share of images with the labels of a task' at graph 0.5, screen 0.35944 center
set label 2 'Mean angle (degrees), lower is better' at graph 0,1 offset -4,1.1 left
unset logscale x
set xrange [-0.4:4.4]
set xtics ("1" 0, "0.5" 1, "0.25" 2, "0.1" 3, "one label" 4)
plot $panel5_1_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#0072B2' fs transparent solid 0.18 noborder notitle, \
     $panel5_1 using 1:2 with linespoints lc rgb '#0072B2' lw 2 dt 1 pt 7 ps 1 pi 1 notitle, \
     $panel5_2_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#D55E00' fs transparent solid 0.18 noborder notitle, \
     $panel5_2 using 1:2 with linespoints lc rgb '#D55E00' lw 2 dt 1 pt 5 ps 1 pi 1 notitle, \
     $panel5_3_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#009E73' fs transparent solid 0.18 noborder notitle, \
     $panel5_3 using 1:2 with linespoints lc rgb '#009E73' lw 2 dt 1 pt 9 ps 1 pi 1 notitle
unset label 1

# ---- Median angle (degrees), lower is better
set lmargin at screen 0.73667; set rmargin at screen 0.98500; set bmargin at screen 0.39357; set tmargin at screen 0.59839
set label 5 'Share of images with the labels of a task' at graph 0.5, screen 0.35944 center
set label 2 'Median angle (degrees), lower is better' at graph 0,1 offset -4,1.1 left
unset logscale x
set xrange [-0.4:4.4]
set xtics ("1" 0, "0.5" 1, "0.25" 2, "0.1" 3, "one label" 4)
plot $panel6_1_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#0072B2' fs transparent solid 0.18 noborder notitle, \
     $panel6_1 using 1:2 with linespoints lc rgb '#0072B2' lw 2 dt 1 pt 7 ps 1 pi 1 notitle, \
     $panel6_2_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#D55E00' fs transparent solid 0.18 noborder notitle, \
     $panel6_2 using 1:2 with linespoints lc rgb '#D55E00' lw 2 dt 1 pt 5 ps 1 pi 1 notitle, \
     $panel6_3_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#009E73' fs transparent solid 0.18 noborder notitle, \
     $panel6_3 using 1:2 with linespoints lc rgb '#009E73' lw 2 dt 1 pt 9 ps 1 pi 1 notitle
unset label 1

# ---- Within 11.25 (%), higher is better
set lmargin at screen 0.07000; set rmargin at screen 0.31833; set bmargin at screen 0.09237; set tmargin at screen 0.29719
set label 5 'Share of images with the labels of a task' at graph 0.5, screen 0.05823 center
set label 2 'Within 11.25 (%), higher is better' at graph 0,1 offset -4,1.1 left
unset logscale x
set xrange [-0.4:4.4]
set xtics ("1" 0, "0.5" 1, "0.25" 2, "0.1" 3, "one label" 4)
plot $panel7_1_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#0072B2' fs transparent solid 0.18 noborder notitle, \
     $panel7_1 using 1:2 with linespoints lc rgb '#0072B2' lw 2 dt 1 pt 7 ps 1 pi 1 notitle, \
     $panel7_2_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#D55E00' fs transparent solid 0.18 noborder notitle, \
     $panel7_2 using 1:2 with linespoints lc rgb '#D55E00' lw 2 dt 1 pt 5 ps 1 pi 1 notitle, \
     $panel7_3_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#009E73' fs transparent solid 0.18 noborder notitle, \
     $panel7_3 using 1:2 with linespoints lc rgb '#009E73' lw 2 dt 1 pt 9 ps 1 pi 1 notitle
unset label 1

# ---- Within 22.5 (%), higher is better
set lmargin at screen 0.40333; set rmargin at screen 0.65167; set bmargin at screen 0.09237; set tmargin at screen 0.29719
set label 5 'Share of images with the labels of a task' at graph 0.5, screen 0.05823 center
set label 2 'Within 22.5 (%), higher is better' at graph 0,1 offset -4,1.1 left
unset logscale x
set xrange [-0.4:4.4]
set xtics ("1" 0, "0.5" 1, "0.25" 2, "0.1" 3, "one label" 4)
plot $panel8_1_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#0072B2' fs transparent solid 0.18 noborder notitle, \
     $panel8_1 using 1:2 with linespoints lc rgb '#0072B2' lw 2 dt 1 pt 7 ps 1 pi 1 notitle, \
     $panel8_2_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#D55E00' fs transparent solid 0.18 noborder notitle, \
     $panel8_2 using 1:2 with linespoints lc rgb '#D55E00' lw 2 dt 1 pt 5 ps 1 pi 1 notitle, \
     $panel8_3_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#009E73' fs transparent solid 0.18 noborder notitle, \
     $panel8_3 using 1:2 with linespoints lc rgb '#009E73' lw 2 dt 1 pt 9 ps 1 pi 1 notitle
unset label 1

# ---- Within 30 (%), higher is better
set lmargin at screen 0.73667; set rmargin at screen 0.98500; set bmargin at screen 0.09237; set tmargin at screen 0.29719
set label 5 'Share of images with the labels of a task' at graph 0.5, screen 0.05823 center
set label 2 'Within 30 (%), higher is better' at graph 0,1 offset -4,1.1 left
unset logscale x
set xrange [-0.4:4.4]
set xtics ("1" 0, "0.5" 1, "0.25" 2, "0.1" 3, "one label" 4)
plot $panel9_1_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#0072B2' fs transparent solid 0.18 noborder notitle, \
     $panel9_1 using 1:2 with linespoints lc rgb '#0072B2' lw 2 dt 1 pt 7 ps 1 pi 1 notitle, \
     $panel9_2_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#D55E00' fs transparent solid 0.18 noborder notitle, \
     $panel9_2 using 1:2 with linespoints lc rgb '#D55E00' lw 2 dt 1 pt 5 ps 1 pi 1 notitle, \
     $panel9_3_sd using 1:($2-$3):($2+$3) with filledcurves fc rgb '#009E73' fs transparent solid 0.18 noborder notitle, \
     $panel9_3 using 1:2 with linespoints lc rgb '#009E73' lw 2 dt 1 pt 9 ps 1 pi 1 notitle
unset label 1

# ---- legend
set lmargin at screen 0.00000; set rmargin at screen 1.00000; set bmargin at screen 0.00000; set tmargin at screen 1.00000
unset label 2; unset label 5; unset border; unset tics; unset grid; unset logscale x; unset offsets
set xrange [0:1200]; set yrange [0:996]
set label 10 'Base MT-Net' at 429.5,12.0 left
set label 11 'Align-Net' at 577.8,12.0 left
set label 12 'XTasC-Net' at 726.1,12.0 left
plot $legend_1 with lines lc rgb '#0072B2' lw 2 dt 1 notitle, \
     $legend_1 every ::1::1 with points lc rgb '#0072B2' lw 2 pt 7 ps 1 notitle, \
     $legend_2 with lines lc rgb '#D55E00' lw 2 dt 1 notitle, \
     $legend_2 every ::1::1 with points lc rgb '#D55E00' lw 2 pt 5 ps 1 notitle, \
     $legend_3 with lines lc rgb '#009E73' lw 2 dt 1 notitle, \
     $legend_3 every ::1::1 with points lc rgb '#009E73' lw 2 pt 9 ps 1 notitle
unset multiplot
unset output
}
