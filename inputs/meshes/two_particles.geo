// Two round cathode particles in an electrolyte, lengths in um. gmsh -2 -format msh22 inputs/meshes/two_particles.geo
// fem: {geometry: {shape: file, file: inputs/meshes/two_particles.msh, "scale [m]": 1.0e-6, ...}}, see docs/fem.md
r = 1.2; w = 6.0; h = 4.0; fine = 0.03; coarse = 0.4;
Point(1) = {0, 0, 0, coarse}; Point(2) = {w, 0, 0, coarse}; Point(3) = {w, h, 0, coarse}; Point(4) = {0, h, 0, coarse};
Line(1) = {1, 2}; Line(2) = {2, 3}; Line(3) = {3, 4}; Line(4) = {4, 1};
Curve Loop(1) = {1, 2, 3, 4};
For i In {0:1}
  x = 1.5 + 3.0 * i; y = 1.6 + 0.8 * i; p = 10 + 10 * i;
  Point(p) = {x, y, 0, coarse};
  Point(p + 1) = {x + r, y, 0, fine}; Point(p + 2) = {x, y + r, 0, fine}; Point(p + 3) = {x - r, y, 0, fine}; Point(p + 4) = {x, y - r, 0, fine};
  Circle(p + 1) = {p + 1, p, p + 2}; Circle(p + 2) = {p + 2, p, p + 3}; Circle(p + 3) = {p + 3, p, p + 4}; Circle(p + 4) = {p + 4, p, p + 1};
  Curve Loop(p) = {p + 1, p + 2, p + 3, p + 4};
  Plane Surface(p) = {p};
EndFor
Plane Surface(1) = {1, 10, 20};
Physical Surface("cathode") = {10, 20};
Physical Surface("electrolyte") = {1};
Physical Curve("collector") = {1};
Physical Curve("symmetry") = {2, 4};
Physical Curve("lithium") = {3};
Field[1] = Distance; Field[1].CurvesList = {11, 12, 13, 14, 21, 22, 23, 24}; Field[1].Sampling = 200;
Field[2] = Threshold; Field[2].InField = 1; Field[2].SizeMin = fine; Field[2].SizeMax = coarse; Field[2].DistMin = 0.35; Field[2].DistMax = 1.2;
Background Field = 2;
Mesh.MeshSizeExtendFromBoundary = 0; Mesh.MeshSizeFromPoints = 0;
