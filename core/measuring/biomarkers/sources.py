"""Where the rules of the biomarkers come from, and why one may be undefined."""

PIXELS = "Counted on the masks; no published rule is needed."
OWN = "Rule of this program."
GATTINONI = (
    "Gattinoni et al. 2001, Am J Respir Crit Care Med 164:1701, doi:10.1164/ajrccm.164.9.2103121"
)
LANZA = "Lanza et al. 2020, Eur Radiol 30:6770, doi:10.1007/s00330-020-07013-2"
AERATION = f"Bands of {GATTINONI}; in COVID-19 {LANZA}"
GROUND_GLASS = (
    "Upper end of ground glass: BMC Infect Dis 2021 (quantitative CT, eight thresholds compared), "
    "doi:10.1186/s12879-021-06556-z; its lower end is a rule of this program."
)
PERIPHERAL = (
    "Rule of this program; radiologists call the outer third peripheral: Pan et al. 2020, "
    "Radiology 295:715, doi:10.1148/radiol.2020200370"
)
ZONE_SCORE = (
    "Grades 0 to 4 by extent: Chung et al. 2020, Radiology 295:202, "
    "doi:10.1148/radiol.2020200230, there for five lobes; six zones here."
)
LOBE_SCORE = (
    "CT severity score, 0 to 5 a lobe: Pan et al. 2020, Radiology 295:715, "
    "doi:10.1148/radiol.2020200370; estimated by eye there, in whole percents (5–25, 26–49, 50–75)"
)
LOBE_SHAPE = (
    "Lobes are estimated from the shape of the lungs alone: see weights/lobes-v1/README.md."
)
MOSMED = "Categories of Morozov et al. 2020, MosMedData, arXiv:2005.06465"

NO_LOBES = "Lobes were not estimated."
NOT_HU = "The scan's values are not in HU."
NOMINAL = "The file does not give the voxel size."
NO_LUNG_MASK = "The lung is not marked."
NO_INFECTION_MASK = "The infection is not marked."
NO_LUNG = "No lung is marked."
NO_INFECTION = "No infection is marked."
PICTURES = "Pictures have neither a known order nor known sides."
